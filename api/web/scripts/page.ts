// Times by the reader's clock, where it is not the patients': then the patients' time shows when one points at it.
const LONG: Intl.DateTimeFormatOptions = {
  day: 'numeric', month: 'long', year: 'numeric', hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
};
const SHORT: Intl.DateTimeFormatOptions = { ...LONG, month: 'short', year: undefined };
const long = new Intl.DateTimeFormat('en-GB', LONG);
const short = new Intl.DateTimeFormat('en-GB', SHORT);
const zone = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' });

export function localise(root: ParentNode): void {
  if (Intl.DateTimeFormat().resolvedOptions().timeZone === 'Europe/London') return;
  for (const time of root.querySelectorAll<HTMLTimeElement>('time[data-form]')) {
    const at = new Date(time.dateTime);
    const isLong = time.dataset.form === 'long';
    const parts = (isLong ? long : short).formatToParts(at);
    const part = (type: string) => parts.find((one) => one.type === type)?.value ?? '';
    const year = isLong ? ` ${part('year')}` : '';
    const text = `${part('day')} ${part('month')}${year}, ${part('hour')}:${part('minute')}`;
    time.removeAttribute('data-form');
    if (text === time.textContent) continue;
    const name = zone.formatToParts(at).find((one) => one.type === 'timeZoneName')?.value ?? '';
    time.title = `${time.textContent} where the patient is`;
    time.textContent = `${text} ${name}`;
  }
}

localise(document);
// What scripts put into the page later.
new MutationObserver((changes) => {
  for (const change of changes) {
    for (const node of change.addedNodes) if (node instanceof HTMLElement) localise(node);
  }
}).observe(document.body, { childList: true, subtree: true });

// What only works with scripts is there only with scripts.
for (const button of document.querySelectorAll<HTMLButtonElement>('[data-print]')) {
  button.hidden = false;
  button.addEventListener('click', () => window.print());
}
