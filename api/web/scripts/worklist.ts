// The live worklist: it renews itself, tells of what is high, and is worked with keys. Without this script the page is
// the same list with links and forms.
import { Follower, type News, type State } from './worklist/follow';
import { onKeys, shortcuts } from './worklist/keys';
import { List } from './worklist/list';
import { Panels } from './worklist/panel';
import { Sound } from './worklist/sound';

const TITLE = document.title;
// The kinds of news that ask for somebody.
const CALLS = ['raised', 'became_current', 'reopened', 'escalated'];

function find<T extends HTMLElement>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`the worklist has no ${selector}`);
  return found;
}

const live = find('[data-live]');
const said = find('[data-said]');
const more = find<HTMLButtonElement>('[data-show-new]');
const dialog = find<HTMLDialogElement>('[data-keys]');
find('[data-tools]').hidden = false;

const list = new List(find('[data-worklist]'), (count) => {
  const text = `${count} new: show`;
  if (more.textContent !== text) more.textContent = text;
  if (more.hidden !== (count === 0)) more.hidden = count === 0;
});
const say = (text: string): void => { said.textContent = text; };
const sound = new Sound(find('[data-sound]'), () => badge());
const renew = (html: string): void => {
  list.renew(html);
  badge();
};
const panels = new Panels(list, say, renew, () => follower.ask());
const follower = new Follower(list.path, renew, hear, show);

// How many high alerts nobody has, in the title.
function badge(): void {
  const title = sound.on && list.urgent > 0 ? `(${list.urgent}) ${TITLE}` : TITLE;
  if (document.title !== title) document.title = title;
}

function hear(news: News): void {
  list.tell(news.alert, fate(news));
  if (news.severity === 'high' && !news.late && CALLS.includes(news.kind)) sound.ring();
}

// What became of an alert that is over; nothing of one that goes on.
function fate({ kind, actor, account }: News): string | undefined {
  if (kind === 'withdrawn') return 'Withdrawn: other readings count now';
  if (kind !== 'closed') return undefined;
  if (actor === null) return 'Over, and closed by itself';
  return `Closed by ${account !== null && account === list.reader ? 'you' : actor}`;
}

function show(state: State): void {
  const broken = state.kind !== 'live';
  live.classList.toggle('hw-live--broken', broken);
  live.classList.toggle('hw-live--live', !broken);
  let text = 'Live: what changes shows up here by itself.';
  if (state.kind === 'broken') {
    const since = state.since.toLocaleTimeString('en-GB', { hour: '2-digit', minute: '2-digit' });
    text = `No connection since ${since}; the list may be out of date; trying again.`;
  }
  if (state.kind === 'signed out') text = 'You are signed out; the list may be out of date. ';
  if (live.textContent?.startsWith(text)) return;
  live.textContent = text;
  if (state.kind === 'signed out') {
    const link = document.createElement('a');
    link.href = `/sign-in?to=${encodeURIComponent(location.pathname + location.search)}`;
    link.textContent = 'Sign in again';
    live.append(link);
  }
}

function showNew(): void {
  const first = list.show();
  if (first) list.point(first, true);
}

// Does to a row what a button or a key asks for.
function act(row: HTMLElement, action: string): void {
  list.point(row, true);
  if (!row.querySelector(`[data-do="${action}"]`)) {
    say(IMPOSSIBLE[action] ?? 'That is not possible here');
    return;
  }
  say('');
  if (action === 'acknowledge') void panels.send(row, action, new URLSearchParams());
  else panels.open(row, action);
}

const IMPOSSIBLE: Record<string, string> = {
  acknowledge: 'Somebody has it already, or it is closed',
  close: 'It lasts: it can be closed once its condition has cleared',
  snooze: 'It is over, so that it pages nobody',
  assign: 'It is closed',
  comment: 'It is closed; comment on its own page',
};

more.addEventListener('click', showNew);
find('[data-show-keys]').addEventListener('click', () => dialog.showModal());
const keysOn = find<HTMLInputElement>('[data-keys-on]');
keysOn.checked = shortcuts.on;
keysOn.addEventListener('change', () => { shortcuts.on = keysOn.checked; });

document.addEventListener('click', (event) => {
  const button = (event.target as Element).closest<HTMLElement>('[data-do]');
  const row = button?.closest<HTMLElement>('[data-alert]');
  if (!button || !row || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  act(row, button.dataset.do ?? '');
});

document.addEventListener('submit', (event) => {
  const form = event.target as HTMLFormElement;
  const row = form.closest<HTMLElement>('[data-alert]');
  if (!row) return;
  event.preventDefault();
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form)) body.append(name, String(value));
  const submitter = event.submitter as HTMLButtonElement | null;
  if (submitter?.name) body.append(submitter.name, submitter.value);
  void panels.send(row, form.dataset.form ?? '', body);
});

// Within a form under a row.
document.addEventListener('keydown', (event) => {
  const form = (event.target as Element).closest<HTMLFormElement>('[data-form]');
  const row = form?.closest<HTMLElement>('[data-alert]');
  if (!form || !row) return;
  const isSelect = event.target instanceof HTMLSelectElement;
  const isText = event.target instanceof HTMLTextAreaElement;
  if (event.key === 'Escape') panels.close(row);
  else if (event.key === 'Enter' && (isSelect || (isText && event.ctrlKey))) form.requestSubmit();
  else return;
  event.preventDefault();
});

const step = (by: 1 | -1): void => {
  const row = list.beside(by);
  if (row) list.point(row, true);
};
const inList = (): boolean => Boolean(document.activeElement?.closest('[data-alert]'));
const open = (row: HTMLElement | null): void => row?.querySelector<HTMLElement>('[data-open]')?.click();
// A key does something to the row that one sees to be the current one; the first press only shows which that is.
const doing = (action: string) => (): void => {
  if (list.current) act(list.current, action);
  else step(1);
};
onKeys({
  j: () => step(1),
  k: () => step(-1),
  // Elsewhere these scroll the page.
  ArrowDown: () => (inList() ? step(1) : false),
  ArrowUp: () => (inList() ? step(-1) : false),
  Enter: (event) => ((event.target as Element).matches('[data-alert]') ? open(list.current) : false),
  a: doing('acknowledge'),
  c: doing('comment'),
  s: doing('snooze'),
  g: doing('assign'),
  x: doing('close'),
  o: () => open(list.current),
  n: showNew,
  '/': () => document.querySelector<HTMLElement>('.hw-severities a')?.focus(),
  '?': () => dialog.showModal(),
});
badge();
