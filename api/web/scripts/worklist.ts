// Follows what happens to alerts, and says when the list on the page is no longer all of it. Nothing moves by itself.
const news = document.querySelector<HTMLElement>('[data-news]');
const link = document.querySelector<HTMLElement>('[data-live]');
if (news && link) {
  let waiting = 0;
  const events = new EventSource('/api/v1/alerts/stream');
  const say = (live: boolean): void => {
    link.textContent = live ? 'Live: news show up here' : 'No connection: this list may be out of date';
    link.classList.toggle('hw-live--broken', !live);
  };
  const noted = (): void => {
    waiting += 1;
    const what = waiting === 1 ? 'Something happened' : `${waiting} things happened`;
    news.textContent = `${what} since this list was shown. `;
    const again = document.createElement('a');
    again.href = window.location.href;
    again.textContent = 'Show the new list';
    news.append(again);
    news.hidden = false;
    document.title = `(${waiting}) ${document.title.replace(/^\(\d+\) /, '')}`;
  };
  events.addEventListener('open', () => say(true));
  events.addEventListener('error', () => say(false));
  for (const kind of ['raised', 'became_current', 'reopened', 'escalated', 'acknowledged', 'cleared', 'closed', 'withdrawn']) {
    events.addEventListener(kind, noted);
  }
}
