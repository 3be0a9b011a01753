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

// Streams tell of readings that were measured within the last hour; a page that heard none for longer is read anew.
const TOLD_FOR = 50 * 60_000;
// A stream that was refused is asked for again after so long, in milliseconds.
const AGAIN = 5_000;
const TICK = 30_000;

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

// Shows a value where it stands, unless what stands there was measured later. Answers whether it was there before: what
// came just before the page was read may be told once more.
function renew(told: Told): boolean {
  const number = section?.querySelector<HTMLElement>(`[data-metric="${CSS.escape(told.metric)}"]`);
  const when = number?.closest('div')?.querySelector<HTMLElement>('[data-when]');
  const shown = when?.querySelector('time');
  if (!number || !when) return false;
  const [before, at] = [shown ? Date.parse(shown.dateTime) : -Infinity, Date.parse(told.at)];
  // The page tells times to the second.
  const known = Math.floor(before / 1000) === Math.floor(at / 1000) && number.textContent === told.number;
  if (known || before > at) return known;
  number.textContent = told.number;
  when.replaceChildren(timeOf(told));
  return false;
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
  let retry: number | undefined;
  // What has arrived until then is on the page: a stream begins after it, and goes on after the last event that it told.
  let after = section.dataset.asOf ?? new Date().toISOString();
  // Since when no stream tells of anything.
  let deafSince: number | undefined;
  const say = (live: boolean): void => {
    link.textContent = live ? 'Live: new readings show up here' : 'No connection: these values may be out of date';
    link.classList.toggle('hw-live--broken', !live);
  };
  const leave = (): void => {
    clearTimeout(retry);
    events?.close();
    deafSince ??= Date.now();
  };
  // A tab that nobody looks at asks for nothing: a browser has few connections to one server.
  const follow = (): void => {
    leave();
    if (document.visibilityState !== 'visible') return;
    const source = new EventSource(`${section.dataset.readings}?after=${encodeURIComponent(after)}`);
    events = source;
    source.addEventListener('open', () => {
      // Of what was measured long ago the stream does not tell.
      if (deafSince !== undefined && Date.now() - deafSince > TOLD_FOR) window.location.reload();
      deafSince = undefined;
      say(true);
    });
    source.addEventListener('error', () => {
      deafSince ??= Date.now();
      say(false);
      // A browser tries again by itself, but for an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) retry = window.setTimeout(follow, AGAIN);
    });
    source.addEventListener('reading', (event) => {
      after = new Date(Number(event.lastEventId) / 1000).toISOString();
      const told: Told = JSON.parse(event.data);
      if (!renew(told)) tell(told);
    });
  };
  // A line that breaks below it is noticed by a stream only after a long while.
  addEventListener('offline', () => {
    leave();
    say(false);
  });
  addEventListener('online', follow);
  document.addEventListener('visibilitychange', follow);
  // A clock that has stood still for so long was that of a sleeping computer, whose stream is dead and does not say so.
  let tickedAt = Date.now();
  setInterval(() => {
    if (Date.now() - tickedAt > TOLD_FOR) window.location.reload();
    tickedAt = Date.now();
  }, TICK);
  follow();
}
