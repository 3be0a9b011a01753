// The line breaks while a nurse looks at the worklist, and comes back; then her session ends.
import { base, judge, please, rest, run, signIn } from './browser.mjs';

const [password] = rest;

await run(async (page, say) => {
  const live = page.getByText('Live: what changes shows up');
  const broken = page.getByText(/No connection since \d\d:\d\d; the list may be out of date; trying again/);
  const row = (number) => page.locator('[data-alert]').nth(number - 1);
  await signIn(page, 'nurse', password);
  await page.goto(`${base}/worklist`);
  await live.waitFor();

  await page.context().setOffline(true);
  await broken.waitFor();
  await judge(page, 'a worklist without a connection', say);
  await please('publish a very low glucose of 1');
  await page.context().setOffline(false);
  await row(1).waitFor();
  await live.waitFor();

  // What is asked for without a connection is not done, and says so; what was typed stays.
  await row(1).focus();
  await page.keyboard.press('c');
  await page.getByLabel('Comment', { exact: true }).fill('Called');
  await page.context().setOffline(true);
  await page.keyboard.press('Control+Enter');
  await page.getByRole('alert').getByText('There is no connection, so that nothing was done').waitFor();
  await page.context().setOffline(false);
  await live.waitFor();
  if ((await page.getByLabel('Comment', { exact: true }).inputValue()) !== 'Called') say('what was typed is gone');
  await page.keyboard.press('Control+Enter');
  await page.getByText('The comment is there').waitFor();

  // A computer that wakes up asks for the list, also where nothing has told it of a broken line.
  const asked = page.waitForRequest(/\/worklist\/list/);
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')));
  await asked;

  await please('end the session');
  await please('publish a very low glucose of 2');
  await page.getByRole('link', { name: 'Sign in again' }).waitFor();
  await judge(page, 'a worklist of somebody who is signed out', say);
  await page.getByRole('link', { name: 'Sign in again' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});
