// How the numbers of a table become a drawing, in the terms of ECharts.
import type { EChartsCoreOption } from 'echarts/core';
import type { Read, Series } from './table';

interface Palette {
  text: string;
  grid: string;
  target: string;
  // Series are told apart by dashes and symbols too.
  lines: string[];
  bars: string;
  area: string;
}

const LIGHT: Palette = {
  text: '#212b32',
  grid: '#d8dde0',
  target: '#e6f4ec',
  lines: ['#005eb8', '#7c2855', '#330072'],
  bars: '#aeb7bd',
  area: '#c3dbf2',
};
const STRONG: Palette = {
  ...LIGHT,
  text: '#000',
  grid: '#4c6272',
  target: '#d0ecdc',
  lines: ['#002f5c', '#5c0a36', '#000'],
  bars: '#4c6272',
  area: '#6aa5dc',
};
const FORCED: Palette = {
  text: 'CanvasText',
  grid: 'GrayText',
  target: 'Canvas',
  lines: ['CanvasText', 'LinkText', 'Highlight'],
  bars: 'GrayText',
  area: 'GrayText',
};
const DASHES = ['solid', 'dashed', 'dotted'] as const;
const SYMBOLS = ['circle', 'diamond', 'triangle'] as const;

function palette(): Palette {
  if (matchMedia('(forced-colors: active)').matches) return FORCED;
  return matchMedia('(prefers-contrast: more)').matches ? STRONG : LIGHT;
}

type Point = [number | string, number | null];

// An area between two edges: a stack of an invisible one and of what is between.
function area(name: string, low: Point[], high: Point[], colour: string): object[] {
  const base = { type: 'line', stack: 'area', stackStrategy: 'all', symbol: 'none', silent: true, lineStyle: { opacity: 0 } };
  const between = high.map(([at, top], index): Point => {
    const bottom = low[index][1];
    return [at, top === null || bottom === null ? null : top - bottom];
  });
  return [
    { ...base, name, data: low },
    { ...base, name, data: between, areaStyle: { color: colour, opacity: 1 } },
  ];
}

interface Shown {
  dataIndex: number;
}

// What the table says of a row.
function told(read: Read, shown: Shown | Shown[]): string {
  const row = read.rows[[shown].flat()[0]?.dataIndex ?? -1];
  if (!row) return '';
  const values = read.series.map((series, index) => `${series.name}: ${row.texts[index]}`);
  return [row.label, ...values.filter((text) => !text.endsWith('–'))].join('\n');
}

// An axis that holds all of these values and begins and ends at one of its marks, about five of which are drawn.
function scale(values: number[]): { min: number; max: number; interval: number } {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const rough = (most - least || Math.abs(most) || 1) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const interval = power * ([1, 2, 3, 5].find((step) => step * power >= rough) ?? 10);
  return { min: Math.floor(least / interval) * interval, max: Math.ceil(most / interval) * interval, interval };
}

// Days with their month: a number alone could be anything.
const TIMES = {
  year: '{d} {MMM} {yyyy}', month: '{d} {MMM}', day: '{d} {MMM}', hour: '{HH}:{mm}', minute: '{HH}:{mm}', second: '{HH}:{mm}:{ss}',
};

export function option(read: Read): EChartsCoreOption {
  const colours = palette();
  const byTime = read.rows.every((row) => row.at !== null);
  const points = (index: number): Point[] =>
    read.rows.map((row) => [byTime ? row.at! : row.label, row.values[index]]);
  const drawn: object[] = [];
  const legend: string[] = [];
  const shaped = (shape: string): number => read.series.findIndex((series) => series.shape === shape);
  const [low, high] = [shaped('low'), shaped('high')];
  if (low >= 0 && high >= 0) {
    const name = `${read.series[low].name} to ${read.series[high].name}`;
    drawn.push(...area(name, points(low), points(high), colours.area));
  }
  // Bars have the right axis, unless there is nothing else.
  const barsAlone = read.series.every(({ shape }) => shape === 'bars');
  let count = 0;
  read.series.forEach((series: Series, index) => {
    const of = count % DASHES.length;
    const common = { name: series.name, data: points(index), itemStyle: { color: colours.lines[of] }, animation: false };
    if (series.shape === 'bars') {
      const aside = { yAxisIndex: 1, itemStyle: { color: colours.bars }, barMaxWidth: 12 };
      drawn.unshift({ ...common, type: 'bar', ...(barsAlone ? { barMaxWidth: 40 } : aside) });
    } else if (series.shape === 'line') {
      const line = { color: colours.lines[of], type: DASHES[of], width: 2 };
      const symbol = { symbol: SYMBOLS[of], symbolSize: 5, showSymbol: read.rows.length < 60, connectNulls: false };
      drawn.push({ ...common, ...symbol, type: 'line', lineStyle: line });
      count += 1;
    } else if (series.shape === 'dots') {
      drawn.push({ ...common, type: 'scatter', symbol: SYMBOLS[of], symbolSize: 7 });
      count += 1;
    } else {
      return;
    }
    legend.push(series.name);
  });
  // What belongs to no series hangs on one that has no points.
  drawn.push({
    type: 'line',
    data: [],
    silent: true,
    markArea: {
      itemStyle: { color: colours.target, borderColor: colours.grid, borderWidth: 1 },
      data: read.targets.map(({ from, to }) => [{ yAxis: from ?? -Infinity }, { yAxis: to ?? Infinity }]),
    },
    markLine: {
      symbol: ['none', 'triangle'],
      label: { show: false },
      lineStyle: { color: colours.text, type: 'dashed', width: 1 },
      data: byTime ? read.marks.map(({ at }) => ({ xAxis: at })) : [],
    },
  });
  const values = { color: colours.text };
  const axis = { axisLabel: values, axisLine: { lineStyle: { color: colours.text } }, nameTextStyle: values };
  const shown = read.series.flatMap(({ shape }, index) =>
    shape === 'bars' && !barsAlone ? [] : read.rows.flatMap((row) => row.values[index] ?? []));
  const onAxis = [...shown, ...(read.atLeast ?? []), ...(barsAlone ? [0] : [])];
  const left = {
    ...axis,
    type: 'value',
    // The names of the legend say it where there is one.
    name: legend.length > 1 ? undefined : read.series.find((series) => barsAlone || series.shape !== 'bars')?.unit,
    nameTextStyle: { ...values, align: 'left' },
    splitLine: { lineStyle: { color: colours.grid } },
    ...(onAxis.length > 0 ? scale(onAxis) : {}),
  };
  const bars = read.series.find((series) => series.shape === 'bars');
  const twoAxes = bars !== undefined && !barsAlone;
  const right = { ...axis, type: 'value', name: bars?.unit, show: twoAxes, splitLine: { show: false } };
  return {
    animation: false,
    textStyle: { fontFamily: 'arial, sans-serif', fontSize: 14, color: colours.text },
    grid: { left: 8, right: 16, top: 40, bottom: 8, outerBoundsMode: 'same', outerBoundsContain: 'axisLabel' },
    legend: { data: legend, textStyle: values, top: 0, left: 0, show: legend.length > 1, inactiveColor: colours.grid },
    // Without markup: nothing of it needs styles within the page.
    tooltip: { trigger: 'axis', renderMode: 'richText', confine: true, formatter: (shown: Shown | Shown[]) => told(read, shown) },
    xAxis: byTime
      ? { ...axis, type: 'time', splitLine: { show: false }, axisLabel: { ...values, formatter: TIMES, hideOverlap: true } }
      : { ...axis, type: 'category', boundaryGap: barsAlone, data: read.rows.map((row) => row.label) },
    yAxis: [left, right],
    series: drawn,
  };
}
