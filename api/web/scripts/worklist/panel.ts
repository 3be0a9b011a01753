// What is done about an alert from its row: forms that open under it, and what became of them.
import type { List } from './list';

export class Panels {
  constructor(
    private readonly list: List,
    private readonly say: (text: string) => void,
    private readonly onList: (html: string) => void,
    // The list that the browser has is an old one.
    private readonly onRefusal: () => void,
  ) {}

  // Opens the form for an action under a row, as it was left.
  open(row: HTMLElement, action: string): void {
    for (const other of row.querySelectorAll<HTMLElement>('.hw-panel')) other.hidden = true;
    let panel = row.querySelector<HTMLElement>(`.hw-panel:has([data-form="${action}"])`);
    if (!panel) {
      const template = document.querySelector<HTMLTemplateElement>(`template[data-panel="${action}"]`);
      panel = template?.content.firstElementChild?.cloneNode(true) as HTMLElement | null;
      if (!panel) return;
      this.fit(panel, row.dataset.alert ?? '', action);
      row.append(panel);
    }
    panel.hidden = false;
    panel.querySelector<HTMLElement>('[data-first]')?.focus();
  }

  // Leaves a form as it is.
  close(row: HTMLElement): void {
    for (const panel of row.querySelectorAll<HTMLElement>('.hw-panel')) panel.hidden = true;
    this.list.point(row, true);
  }

  // Sends a form, and renews the list with the answer.
  async send(row: HTMLElement, action: string, body: URLSearchParams): Promise<void> {
    // A second press means the first one.
    if (row.hasAttribute('aria-busy')) return;
    const alert = row.dataset.alert ?? '';
    const closes = action === 'close' || row.querySelector('[data-do="close"]') !== null;
    this.complain(row, undefined);
    body.set('back', this.list.path);
    if (!body.has('csrf_token')) {
      body.set('csrf_token', document.querySelector<HTMLInputElement>('#act [name="csrf_token"]')?.value ?? '');
    }
    row.setAttribute('aria-busy', 'true');
    try {
      const answer = await fetch(`/alerts/${alert}/${action}`, {
        method: 'POST', body, headers: { accept: '*/*' }, signal: AbortSignal.timeout(15_000),
      });
      if (answer.ok) {
        row.querySelector(`.hw-panel:has([data-form="${action}"])`)?.remove();
        if (closes) this.list.tell(alert, 'Closed by you');
        this.onList(await answer.text());
        if (!row.contains(document.activeElement)) this.list.point(row, true);
        this.say(DONE[action] ?? 'Done');
      } else {
        this.complain(row, await why(answer), action);
        this.onRefusal();
      }
    } catch {
      this.complain(row, 'There is no connection, so that nothing was done. Try again', action);
    }
    row.removeAttribute('aria-busy');
  }

  // Shows at the row what was wrong, in the form where there is one.
  complain(row: HTMLElement, what: string | undefined, action?: string): void {
    row.querySelector('[data-wrong]')?.remove();
    if (what === undefined) return;
    const wrong = document.createElement('p');
    wrong.className = 'nhsuk-error-message';
    wrong.dataset.wrong = '';
    wrong.setAttribute('role', 'alert');
    wrong.textContent = `${what}.`;
    const form = action && row.querySelector(`[data-form="${action}"]`);
    if (form) form.prepend(wrong);
    else row.append(wrong);
  }

  private fit(panel: HTMLElement, alert: string, action: string): void {
    for (const name of ['id', 'for', 'aria-describedby']) {
      for (const element of panel.querySelectorAll(`[${name}]`)) {
        element.setAttribute(name, `${element.getAttribute(name)}-${alert}`);
      }
    }
    panel.querySelector('form')?.setAttribute('action', `/alerts/${alert}/${action}`);
  }
}

const DONE: Record<string, string> = {
  acknowledge: 'Taken',
  comment: 'The comment is there',
  snooze: 'Snoozed',
  assign: 'Assigned',
  close: 'Closed',
};

async function why(answer: Response): Promise<string> {
  if (answer.status === 401) return 'You are signed out, so that nothing was done. Sign in again in another window';
  try {
    const { detail } = await answer.json();
    if (typeof detail === 'string') return detail.charAt(0).toUpperCase() + detail.slice(1);
  } catch {
    // What is no problem document says nothing to people.
  }
  return 'The server could not do it';
}
