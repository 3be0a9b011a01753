// What a chart's figure holds.

export interface Series {
  name: string;
  unit: string;
  shape: string;
}

export interface Row {
  // The text of the first column.
  label: string;
  // The same as a time, where it is one.
  at: number | null;
  texts: string[];
  values: (number | null)[];
}

export interface Target {
  name: string;
  from: number | null;
  to: number | null;
}

export interface Mark {
  at: number;
  text: string;
  severity: string;
}

export interface Read {
  series: Series[];
  rows: Row[];
  targets: Target[];
  marks: Mark[];
  atLeast: [number, number] | null;
}

const number = (text: string | undefined): number | null => (text === undefined || text === '' ? null : Number(text));

const timeIn = (element: Element): number | null => {
  const time = element.querySelector('time');
  return time ? Date.parse(time.dateTime) : null;
};

export function read(figure: HTMLElement): Read {
  const all = <E extends HTMLElement>(selector: string) => [...figure.querySelectorAll<E>(selector)];
  const rows = all<HTMLTableRowElement>('tbody tr').map((row) => {
    const texts = [...row.querySelectorAll('td')].map((cell) => cell.textContent ?? '');
    const head = row.querySelector('th')!;
    return {
      label: head.textContent ?? '',
      at: timeIn(head),
      texts,
      values: texts.map((text) => (text === '–' ? null : Number(text))),
    };
  });
  const atLeast = figure.dataset.atLeast?.split(' ').map(Number);
  return {
    rows,
    series: all('thead [data-shape]').map((head) => ({
      name: head.textContent ?? '',
      unit: head.dataset.unit ?? '',
      shape: head.dataset.shape ?? 'line',
    })),
    targets: all('[data-target]').map(({ dataset }) => ({
      name: dataset.target!,
      from: number(dataset.from),
      to: number(dataset.to),
    })),
    marks: all('[data-mark]').map((mark) => ({
      at: timeIn(mark)!,
      text: mark.textContent ?? '',
      severity: mark.dataset.mark!,
    })),
    atLeast: atLeast ? [atLeast[0], atLeast[1]] : null,
  };
}
