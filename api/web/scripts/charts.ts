// Draws each chart of the page from its own table.
import { init, use, type EChartsType } from 'echarts/core';
import { BarChart, LineChart, ScatterChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent, TooltipComponent } from 'echarts/components';
import { SVGRenderer } from 'echarts/renderers';
import { read, type Read } from './charts/table';
import { option } from './charts/option';

use([
  BarChart, LineChart, ScatterChart, GridComponent, LegendComponent, MarkAreaComponent, MarkLineComponent,
  TooltipComponent, SVGRenderer,
]);

// Left and right go from row to row, and the row is read out; the drawing shows where it is.
function byKeyboard(drawing: HTMLElement, reading: HTMLElement, chart: EChartsType, read: Read): void {
  let current = -1;
  drawing.addEventListener('keydown', (event) => {
    const last = read.rows.length - 1;
    const next = {
      ArrowLeft: Math.max(current - 1, 0),
      ArrowRight: Math.min(current + 1, last),
      Home: 0,
      End: last,
    }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    current = next;
    const row = read.rows[current];
    const values = read.series.map((series, index) => [series.name, row.texts[index]]).filter(([, text]) => text !== '–');
    reading.textContent = `${row.label}: ${values.map(([name, text]) => `${name} ${text}`).join(', ')}`;
    const seriesIndex = read.series.findIndex((_, index) => row.values[index] !== null);
    chart.dispatchAction({ type: 'showTip', seriesIndex: Math.max(seriesIndex, 0), dataIndex: current });
  });
}

function draw(figure: HTMLElement): void {
  const drawing = figure.querySelector<HTMLElement>('[data-drawing]');
  const reading = figure.querySelector<HTMLElement>('[data-reading]');
  if (!drawing || !reading) return;
  const what = read(figure);
  const chart = init(drawing, undefined, { renderer: 'svg' });
  const show = () => chart.setOption(option(what), true);
  show();
  drawing.querySelector('svg')?.setAttribute('aria-hidden', 'true');
  byKeyboard(drawing, reading, chart, what);
  new ResizeObserver(() => chart.resize()).observe(drawing);
  for (const query of ['(forced-colors: active)', '(prefers-contrast: more)']) {
    matchMedia(query).addEventListener('change', show);
  }
}

// A chart is drawn when it comes near to the window, and all of them before they are printed.
const waiting = new Set(document.querySelectorAll<HTMLElement>('[data-chart]'));
const seen = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) if (isIntersecting) start(target as HTMLElement);
  },
  { rootMargin: '400px' },
);
function start(figure: HTMLElement): void {
  if (!waiting.delete(figure)) return;
  seen.unobserve(figure);
  draw(figure);
}
for (const figure of waiting) seen.observe(figure);
addEventListener('beforeprint', () => [...waiting].forEach(start));
