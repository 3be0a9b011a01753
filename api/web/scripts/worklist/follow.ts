// Follows what happens to alerts, through broken lines, sleeping computers and servers that start again.

// What happened to an alert.
export interface News {
  kind: string;
  actor: string | null;
  // The number of the account of whoever did it.
  account: number | null;
  alert: string;
  severity: string;
  late: boolean;
}

export type State = { kind: 'live' } | { kind: 'broken'; since: Date } | { kind: 'signed out' };

const KINDS = [
  'raised', 'became_current', 'amended', 'reopened', 'withdrawn', 'acknowledged', 'assigned', 'commented', 'snoozed',
  'snooze_ended', 'escalated', 'cleared', 'closed',
];
// The list is asked for no oftener than this, in milliseconds.
const BETWEEN = 1_000;
// A line that was given up is tried again after so long, and then after twice as long, up to this.
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 15_000;
// A clock that has stood still for so long was that of a sleeping computer.
const TICK = 5_000;
const SLEPT = 20_000;
// A list before somebody's eyes is asked for at least as often as this, so that a dead line does not pass for a quiet one.
const QUIET = 5 * 60_000;

export class Follower {
  private source: EventSource | undefined;
  private brokenSince: Date | undefined;
  private signedOut = false;
  private wait = FIRST_WAIT;
  private retry: number | undefined;
  private asking = false;
  private again = false;
  private timer: number | undefined;
  private askedAt = -Infinity;
  private tickedAt = Date.now();

  constructor(
    private readonly path: string,
    private readonly onList: (html: string) => void,
    private readonly onNews: (news: News) => void,
    private readonly onState: (state: State) => void,
  ) {
    addEventListener('online', () => this.connect());
    addEventListener('offline', () => {
      this.source?.close();
      this.broken();
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.ask();
    });
    setInterval(() => this.tick(), TICK);
    this.connect();
  }

  // Asks for the list, now or as soon as it may be asked for again.
  ask(): void {
    if (this.asking || this.timer !== undefined) {
      this.again = true;
      return;
    }
    const wait = this.askedAt + BETWEEN - performance.now();
    this.timer = window.setTimeout(() => void this.fetch(), Math.max(wait, 0));
  }

  private connect(): void {
    clearTimeout(this.retry);
    this.source?.close();
    const source = new EventSource('/api/v1/alerts/stream');
    this.source = source;
    // What happened before the line was there is in the list.
    source.addEventListener('open', () => this.ask());
    source.addEventListener('error', () => {
      // A browser tries again by itself, but for an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) this.failed();
      else this.broken();
    });
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        const { transition, alert } = JSON.parse(event.data);
        this.onNews({
          kind, actor: transition.actor, account: transition.actor_account, alert: String(alert.id),
          severity: alert.severity, late: alert.late,
        });
        this.ask();
      });
    }
  }

  // Tries again in a while.
  private failed(): void {
    this.broken();
    clearTimeout(this.retry);
    this.retry = window.setTimeout(() => {
      // The list says whether somebody has to sign in again.
      this.ask();
      if (this.source?.readyState !== EventSource.OPEN) this.connect();
    }, this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  private broken(): void {
    this.brokenSince ??= new Date();
    if (!this.signedOut) this.onState({ kind: 'broken', since: this.brokenSince });
  }

  private async fetch(): Promise<void> {
    this.timer = undefined;
    this.again = false;
    this.asking = true;
    this.askedAt = performance.now();
    const unseen = document.hidden ? `${this.path.includes('?') ? '&' : '?'}unseen=true` : '';
    try {
      const answer = await fetch(this.path + unseen, { headers: { accept: '*/*' }, signal: AbortSignal.timeout(15_000) });
      if (answer.status === 401) {
        this.signedOut = true;
        this.onState({ kind: 'signed out' });
      } else if (answer.ok) this.take(await answer.text());
      else this.failed();
    } catch {
      this.failed();
    }
    this.asking = false;
    if (this.again) this.ask();
  }

  private take(html: string): void {
    this.onList(html);
    if (this.source?.readyState !== EventSource.OPEN) return;
    clearTimeout(this.retry);
    this.brokenSince = undefined;
    this.signedOut = false;
    this.wait = FIRST_WAIT;
    this.onState({ kind: 'live' });
  }

  private tick(): void {
    const now = Date.now();
    const slept = now - this.tickedAt > SLEPT;
    this.tickedAt = now;
    if (slept) this.connect();
    else if (!document.hidden && performance.now() - this.askedAt > QUIET) this.ask();
  }
}
