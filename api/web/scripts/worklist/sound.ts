// A sound for what is high, once somebody has allowed it: two short notes, made here.
const SETTING = 'homeward.sound';
// In Hz, and in seconds.
const NOTES = [880, 660];
const LENGTH = 0.18;

export class Sound {
  private context: AudioContext | undefined;

  constructor(private readonly button: HTMLElement, changed: () => void) {
    this.show();
    button.addEventListener('click', () => {
      localStorage.setItem(SETTING, this.on ? 'off' : 'on');
      this.show();
      // So that one hears what it will be.
      this.ring();
      changed();
    });
    // A browser plays nothing on a page that nobody has touched yet.
    const wake = (): void => { if (this.on) void this.player().resume(); };
    addEventListener('pointerdown', wake, { once: true });
    addEventListener('keydown', wake, { once: true });
  }

  get on(): boolean {
    return localStorage.getItem(SETTING) === 'on';
  }

  ring(): void {
    if (!this.on) return;
    const context = this.player();
    void context.resume();
    NOTES.forEach((frequency, index) => {
      const begin = context.currentTime + index * LENGTH;
      const volume = context.createGain();
      volume.gain.setValueAtTime(0.2, begin);
      volume.gain.exponentialRampToValueAtTime(0.001, begin + LENGTH);
      const note = context.createOscillator();
      note.frequency.value = frequency;
      note.connect(volume).connect(context.destination);
      note.start(begin);
      note.stop(begin + LENGTH);
    });
  }

  private player(): AudioContext {
    this.context ??= new AudioContext();
    return this.context;
  }

  private show(): void {
    this.button.textContent = `Sound for high alerts: ${this.on ? 'on' : 'off'}`;
  }
}
