// The rows of the list, and how they are renewed: in place, so that nothing moves under the pointer or the focus.

// How long after somebody has touched the page it counts as let go.
const UNTOUCHED_AFTER = 10_000;
// How long a row that is gone can be read.
const GONE_FOR = 60_000;

export class List {
  private fresh: HTMLElement | undefined;
  private touchedAt = -Infinity;
  private pointer: [number, number] | undefined;
  // What became of alerts, as events told it.
  private readonly fates = new Map<string, string>();

  constructor(
    private readonly root: HTMLElement,
    private readonly waiting: (count: number) => void,
  ) {
    for (const kind of ['pointerdown', 'wheel', 'touchmove', 'keydown']) {
      addEventListener(kind, () => { this.touchedAt = performance.now(); }, { passive: true, capture: true });
    }
    addEventListener('pointermove', (event) => { this.pointer = [event.clientX, event.clientY]; }, { passive: true });
    document.addEventListener('pointerleave', () => { this.pointer = undefined; });
    root.addEventListener('focusin', (event) => {
      const row = (event.target as Element).closest<HTMLElement>('[data-alert]');
      if (row) this.point(row);
    });
    setInterval(() => this.settle(), 1_000);
  }

  // The number of the reader's account.
  get reader(): number {
    return Number(this.root.dataset.reader);
  }

  // How many high alerts nobody has.
  get urgent(): number {
    return Number((this.fresh ?? this.root).querySelector<HTMLElement>('[data-facts]')?.dataset.urgent ?? 0);
  }

  get path(): string {
    return this.root.dataset.list ?? '/worklist/list';
  }

  // The row that keys act on.
  get current(): HTMLElement | null {
    return this.root.querySelector('[data-alert][aria-current]');
  }

  row(alert: string): HTMLElement | null {
    return this.root.querySelector(`[data-alert="${CSS.escape(alert)}"]`);
  }

  // The row after the current one, or before it; the first where there is none.
  beside(step: 1 | -1): HTMLElement | undefined {
    const rows = [...this.root.querySelectorAll<HTMLElement>('[data-alert]')];
    const current = this.current;
    if (!current) return rows[0];
    return rows[rows.indexOf(current) + step];
  }

  // Makes a row the current one; `focus`: and moves there.
  point(row: HTMLElement, focus = false): void {
    const former = this.current;
    if (former !== row) {
      former?.removeAttribute('aria-current');
      former?.setAttribute('tabindex', '-1');
      row.setAttribute('aria-current', 'true');
      row.tabIndex = 0;
    }
    row.removeAttribute('data-new');
    if (focus) row.focus();
  }

  // Notes what became of an alert, for when its row is gone.
  tell(alert: string, fate: string | undefined): void {
    if (fate === undefined) this.fates.delete(alert);
    else this.fates.set(alert, fate);
  }

  // Takes over a list that the server has sent.
  renew(html: string): void {
    const fresh = new DOMParser().parseFromString(html, 'text/html').body;
    this.fresh = fresh;
    this.still(() => {
      for (const part of fresh.querySelectorAll<HTMLElement>('[data-renew]')) {
        const known = this.root.querySelector<HTMLElement>(`[data-renew="${part.dataset.renew}"]`);
        if (known && !known.contains(document.activeElement)) replace(known, part);
      }
      for (const row of this.root.querySelectorAll<HTMLElement>('[data-alert]')) {
        const news = fresh.querySelector<HTMLElement>(`[data-alert="${row.dataset.alert}"]`);
        if (news) this.patch(row, news);
        else this.gone(row);
      }
      this.settle();
    });
  }

  // Puts everything in its place, what is new too. Answers the first new row.
  show(): HTMLElement | undefined {
    return this.arrange(0);
  }

  private settle(): void {
    const count = this.missing().length;
    if (!this.fresh || this.touched()) this.waiting(count);
    else this.arrange(GONE_FOR);
  }

  private missing(): HTMLElement[] {
    const rows = this.fresh?.querySelectorAll<HTMLElement>('[data-alert]') ?? [];
    return [...rows].filter((row) => !this.row(row.dataset.alert ?? ''));
  }

  private touched(): boolean {
    return Boolean(document.activeElement?.closest('[data-rows]'))
      || Boolean(this.root.querySelector('[data-rows]:hover'))
      || performance.now() - this.touchedAt < UNTOUCHED_AFTER;
  }

  private patch(row: HTMLElement, news: HTMLElement): void {
    const back = row.hasAttribute('data-gone');
    if (row.dataset.mark === news.dataset.mark && !back) return;
    row.removeAttribute('data-gone');
    row.dataset.mark = news.dataset.mark;
    if (row.className !== news.className) row.className = news.className;
    for (const part of news.querySelectorAll<HTMLElement>('[data-part]')) {
      const known = row.querySelector<HTMLElement>(`[data-part="${part.dataset.part}"]`);
      if (known) replace(known, part, row);
    }
  }

  private gone(row: HTMLElement): void {
    if (row.hasAttribute('data-gone')) return;
    row.dataset.gone = String(Date.now());
    delete row.dataset.mark;
    const fate = document.createElement('p');
    fate.textContent = this.fates.get(row.dataset.alert ?? '') ?? 'No longer on this list';
    const instead = document.createElement('div');
    instead.append(fate);
    const known = row.querySelector<HTMLElement>('[data-part="do"]');
    if (known) replace(known, instead, row);
  }

  private arrange(goneFor: number): HTMLElement | undefined {
    const fresh = this.fresh;
    if (!fresh) return undefined;
    let first: HTMLElement | undefined;
    for (const row of this.root.querySelectorAll<HTMLElement>('[data-gone]')) {
      const busy = row.contains(document.activeElement) || row.querySelector('[data-form]');
      if (Date.now() - Number(row.dataset.gone) >= goneFor && !busy) row.remove();
    }
    for (const section of fresh.querySelectorAll<HTMLElement>('[data-section]')) {
      const known = this.root.querySelector<HTMLElement>(`[data-section="${section.dataset.section}"]`);
      const rows = known?.querySelector('[data-rows]');
      if (!known || !rows) continue;
      let place = rows.firstElementChild;
      for (const wanted of section.querySelectorAll<HTMLElement>('[data-alert]')) {
        while (place?.hasAttribute('data-gone')) place = place.nextElementSibling;
        let row = this.row(wanted.dataset.alert ?? '');
        if (!row) {
          row = document.importNode(wanted, true);
          row.dataset.new = '';
          first ??= row;
        }
        if (row === place) place = place.nextElementSibling;
        else rows.insertBefore(row, place);
      }
    }
    for (const known of this.root.querySelectorAll<HTMLElement>('[data-section]')) {
      set(known, !known.querySelector('[data-alert]'));
    }
    const quiet = this.root.querySelector<HTMLElement>('[data-quiet]');
    if (quiet) set(quiet, fresh.querySelector<HTMLElement>('[data-quiet]')?.hidden ?? true);
    this.waiting(0);
    return first;
  }

  // Does something, and scrolls so that what is under the focus or the pointer stays where it was.
  private still(change: () => void): void {
    const focused = document.activeElement?.closest('[data-alert]');
    const under = this.pointer && document.elementFromPoint(...this.pointer)?.closest('[data-alert]');
    const anchor = focused ?? under;
    const before = anchor?.getBoundingClientRect().top ?? 0;
    change();
    const moved = (anchor?.getBoundingClientRect().top ?? 0) - before;
    if (moved !== 0) scrollBy({ top: moved, behavior: 'instant' });
  }
}

function set(element: HTMLElement, hidden: boolean): void {
  if (element.hidden !== hidden) element.hidden = hidden;
}

// Replaces what a part says, if it says something else, and keeps the focus in it, or at its row.
function replace(known: HTMLElement, fresh: HTMLElement, row?: HTMLElement): void {
  if (known.innerHTML === fresh.innerHTML) return;
  const focused = known.contains(document.activeElement) ? document.activeElement : null;
  const what = focused?.getAttribute('data-do') ?? undefined;
  known.innerHTML = fresh.innerHTML;
  if (!focused) return;
  const again = what && known.querySelector<HTMLElement>(`[data-do="${what}"]`);
  (again || row)?.focus();
}
