// Renews the latest values of a patient while somebody looks, and says that something new has come. The charts stay as they
// are until one asks for them anew.
interface Told {
  metric: string;
  at: string;
  what: string;
  number: string;
  // By the patients' clock, as the page tells times: `page.js` sets what is put into the page to the reader's.
  when: string;
}

const section = document.querySelector<HTMLElement>('[data-readings]');
const link = section?.querySelector<HTMLElement>('[data-live]');
const news = section?.querySelector<HTMLElement>('[data-news]');

function timeOf(told: Told): HTMLElement {
  const time = document.createElement('time');
  time.dateTime = told.at;
  time.dataset.form = 'short';
  time.textContent = told.when;
  const around = document.createElement('span');
  around.append(time);
  return around;
}

// Shows a value where it stands, unless what stands there was measured later.
function renew(told: Told): void {
  const number = section?.querySelector<HTMLElement>(`[data-metric="${CSS.escape(told.metric)}"]`);
  const when = number?.closest('div')?.querySelector<HTMLElement>('[data-when]');
  const shown = when?.querySelector('time');
  if (!number || !when || (shown && Date.parse(shown.dateTime) > Date.parse(told.at))) return;
  number.textContent = told.number;
  when.replaceChildren(timeOf(told));
}

function tell(told: Told): void {
  if (!news) return;
  const again = document.createElement('a');
  again.href = window.location.href.replace(/#.*/, '');
  again.textContent = 'Draw the charts anew';
  news.replaceChildren(`New reading, ${told.what} ${told.number}, measured `, timeOf(told), '. ', again);
  news.hidden = false;
}

if (section && link && news) {
  let events: EventSource | undefined;
  // After which event a stream goes on that was closed meanwhile.
  let last: string | undefined;
  const say = (live: boolean): void => {
    link.textContent = live ? 'Live: new readings show up here' : 'No connection: these values may be out of date';
    link.classList.toggle('hw-live--broken', !live);
  };
  const follow = (): void => {
    const after = last === undefined ? '' : `?after=${new Date(Number(last) / 1000).toISOString()}`;
    events = new EventSource(section.dataset.readings + after);
    events.addEventListener('open', () => say(true));
    events.addEventListener('error', () => say(false));
    events.addEventListener('reading', (event) => {
      last = event.lastEventId;
      const told: Told = JSON.parse(event.data);
      renew(told);
      tell(told);
    });
  };
  // A tab that nobody looks at asks for nothing: a browser has few connections to one server.
  document.addEventListener('visibilitychange', () => {
    events?.close();
    if (document.visibilityState === 'visible') follow();
  });
  if (document.visibilityState === 'visible') follow();
}
