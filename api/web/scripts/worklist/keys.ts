// What can be done with one key. Whoever uses speech input, or rests a hand on the keyboard, can switch it off (WCAG 2.1.4).
const SETTING = 'homeward.shortcuts';

export const shortcuts = {
  get on(): boolean {
    return localStorage.getItem(SETTING) !== 'off';
  },
  set on(on: boolean) {
    localStorage.setItem(SETTING, on ? 'on' : 'off');
  },
};

// Calls what belongs to a key, never while somebody types, and never for a key with Control, Alt or the like.
export function onKeys(actions: Record<string, (event: KeyboardEvent) => boolean | void>): void {
  document.addEventListener('keydown', (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    const target = event.target as Element;
    if (target.closest('input, textarea, select, [contenteditable], dialog')) return;
    const action = actions[event.key];
    // What it answers with `false` is the browser's.
    if (!action || !shortcuts.on || action(event) === false) return;
    event.preventDefault();
  });
}
