// A nurse works alerts from their raising to their end, with keys. What is published meanwhile, the test does when it is
// asked.
import { base, judge, please, rest, run, signIn, watch } from './browser.mjs';

const [password] = rest;

await run(async (page, say, browser) => {
  const rows = page.locator('[data-alert]');
  const current = page.locator('[data-alert]:focus');
  const keys = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  const row = (number) => rows.nth(number - 1);
  const expect = async (locator, text) => locator.filter({ hasText: text }).first().waitFor();
  const check = (fine, what) => { if (!fine) say(what); };
  // Counts the notes that are played.
  await page.addInitScript(() => {
    window.notes = 0;
    const start = OscillatorNode.prototype.start;
    OscillatorNode.prototype.start = function (...when) {
      window.notes += 1;
      return start.apply(this, when);
    };
  });

  await page.goto(`${base}/worklist`);
  await signIn(page, 'nurse', 'not the password');
  await page.getByRole('alert').waitFor();
  await signIn(page, 'nurse', password);
  await page.getByRole('heading', { name: 'Nothing is open' }).waitFor();
  await page.getByText('Live: what changes shows up').waitFor();
  await judge(page, 'an empty worklist', say);

  // Nobody touches the list: what comes shows up.
  await page.mouse.move(0, 0);
  await page.reload();
  await page.getByText('Live: what changes shows up').waitFor();
  await page.evaluate(() => {
    window.appeared = new Promise((resolve) => {
      new MutationObserver((_, observer) => {
        if (!document.querySelector('[data-alert]')) return;
        observer.disconnect();
        resolve(Date.now());
      }).observe(document.body, { childList: true, subtree: true });
    });
  });
  const published = await please('publish a very low glucose of 1');
  const took = (await page.evaluate(() => window.appeared)) - published;
  await expect(row(1), 'Glucose very low');
  await expect(row(1), 'Nobody has it');
  await page.getByRole('heading', { name: 'Nothing is open' }).waitFor({ state: 'hidden' });
  await judge(page, 'a worklist', say);

  // The keys are told, and each does what it is for.
  await page.keyboard.press('?');
  await keys.waitFor();
  await judge(page, 'the keys', say);
  await page.keyboard.press('Escape');
  await keys.waitFor({ state: 'hidden' });
  // The dialog gives the focus back after it is hidden.
  await page.waitForFunction(() => !document.activeElement?.closest('dialog'));
  await page.keyboard.press('j');
  await current.waitFor();
  await page.keyboard.press('c');
  await page.getByLabel('Comment', { exact: true }).fill('Called, nobody answers: j k x');
  await judge(page, 'a comment', say);
  await page.keyboard.press('Control+Enter');
  await page.getByText('The comment is there').waitFor();
  await current.waitFor();
  await page.keyboard.press('s');
  await page.keyboard.press('Enter');
  await expect(row(1), 'Snoozed until');
  await page.keyboard.press('g');
  await judge(page, 'assigning', say);
  await page.keyboard.press('Enter');
  await expect(row(1), 'Assigned to you, not taken up yet');
  await page.keyboard.press('x');
  await page.getByText('It lasts: it can be closed once').waitFor();

  // Somebody is at work in the list: what is new waits, and nothing moves.
  const place = async () => JSON.stringify(await row(1).boundingBox());
  const before = await place();
  await please('publish a very low glucose of 2');
  await page.getByRole('button', { name: '1 new: show' }).waitFor();
  check((await rows.count()) === 1 && (await place()) === before, 'the list moved under the focus');
  check(await row(1).evaluate((it) => it === document.activeElement), 'the focus moved');
  await judge(page, 'a new alert waits', say);
  await page.keyboard.press('n');
  await expect(current, 'Nobody has it');
  check((await rows.count()) === 2, 'there are not two rows');

  // The sound, once it is allowed, and then for every high alert; and the number in the title.
  const sound = page.getByRole('button', { name: /Sound for high alerts/ });
  check((await sound.textContent()).endsWith('off'), 'there is sound that nobody has allowed');
  check((await page.title()) === 'Worklist – Homeward', 'the title tells what nobody has allowed');
  await sound.click();
  await page.getByRole('button', { name: 'Sound for high alerts: on' }).waitFor();
  check((await page.evaluate(() => window.notes)) === 2, 'the sound is not played when it is allowed');
  check((await page.title()) === '(2) Worklist – Homeward', `the title is ${await page.title()}`);
  const publishedAgain = await please('publish a very low glucose of 3');
  await page.waitForFunction(() => window.notes === 4);
  // Within a second of the publish, once of two times: a machine can be busy for a moment.
  const tookAgain = (await page.evaluate(() => Date.now())) - publishedAgain;
  check(
    Math.min(took, tookAgain) < 1000,
    `the alert took ${took} ms to show up, and another one ${tookAgain} ms to be heard`,
  );
  await page.waitForFunction(() => document.title === '(3) Worklist – Homeward');
  await page.getByRole('button', { name: '1 new: show' }).click();
  check((await rows.count()) === 3, 'there are not three rows');

  // From taken to closed, by its own end.
  await row(1).focus();
  await page.keyboard.press('a');
  await expect(row(1), 'You have it');
  await page.waitForFunction(() => document.title === '(2) Worklist – Homeward');
  const first = page.locator('#' + (await row(1).getAttribute('id')));
  await please('publish glucose in range of 1');
  await expect(first, 'Over, and closed by itself');
  await judge(page, 'a row that is gone', say);
  // From over to closed, by hand.
  const second = rows.filter({ hasText: 'Nobody had it' });
  await please('publish glucose in range of 2');
  await second.focus();
  await page.keyboard.press('x');
  await judge(page, 'closing', say);
  await page.getByRole('button', { name: 'Patient contacted and well' }).press('Enter');
  await page.getByText('Closed by you').waitFor();

  // Somebody else is quicker, and the list does not know yet.
  const other = watch(await (await browser.newContext()).newPage());
  await signIn(other, 'sam', password);
  await other.goto(`${base}/worklist`);
  await page.route('**/worklist/list*', (route) => route.abort());
  await other.getByRole('button', { name: /I take it/ }).click();
  await other.getByText('You have it').waitFor();
  await rows.filter({ hasText: 'Nobody has it' }).focus();
  await page.keyboard.press('a');
  await page.getByRole('alert').getByText('Sam Okafor was quicker, and has it.').waitFor();
  await judge(page, 'somebody was quicker', say);
  await page.unroute('**/worklist/list*');
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await rows.filter({ hasText: 'Sam Okafor has it' }).waitFor();
  await page.waitForFunction(() => document.title === 'Worklist – Homeward');

  // The alert's own page.
  await page.keyboard.press('o');
  await page.getByRole('heading', { name: 'What happened' }).waitFor();
  await page.goto(`${base}/alerts/1`);
  await page.getByText('Called, nobody answers: j k x').waitFor();

  // Who comes back after a night is told what happened.
  await please('let a night pass');
  await page.goto(`${base}/worklist`);
  await page.getByRole('heading', { name: /Since you last looked/ }).waitFor();
  await page.getByText('3 raised').click();
  await judge(page, 'after a night', say);
  await page.getByRole('button', { name: 'Sound for high alerts: on' }).waitFor();

  // Without shortcuts, no key does anything.
  await page.getByRole('button', { name: 'Keyboard shortcuts' }).click();
  await page.getByLabel('Use keyboard shortcuts').uncheck();
  await page.keyboard.press('Escape');
  await keys.waitFor({ state: 'hidden' });
  await page.keyboard.press('j');
  check((await current.count()) === 0, 'a key works that is switched off');

  await page.goto(`${base}/nothing/is/here`);
  await page.getByRole('heading', { name: 'Not found' }).waitFor();
  await page.goto(`${base}/role`);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});
