// A worklist of a thousand alerts: how much a page does when somebody presses a key, types, or one alert changes, is
// told by what changes in it.
import { base, judge, please, rest, run, signIn } from './browser.mjs';

const [password] = rest;

await run(async (page, say) => {
  const check = (fine, what) => { if (!fine) say(what); };
  await signIn(page, 'nurse', password);
  await page.goto(`${base}/worklist`);
  await page.getByText('Live: what changes shows up').waitFor();
  check((await page.locator('[data-alert]').count()) === 200, 'a page has not 200 rows');
  await page.evaluate(() => {
    window.rows = [...document.querySelectorAll('[data-alert]')];
    window.changes = [];
    const list = document.querySelector('[data-worklist]');
    new MutationObserver((records) => {
      for (const { type, attributeName, target } of records) {
        window.changes.push(`${type} ${attributeName ?? ''} of ${target.outerHTML?.slice(0, 300)}`);
      }
    }).observe(list, { childList: true, subtree: true, attributes: true, characterData: true });
  });
  const changes = async () => page.evaluate(() => window.changes.splice(0));

  // A key moves a mark from one row to the next, and touches no other.
  await page.keyboard.press('j');
  await changes();
  for (let press = 0; press < 20; press += 1) await page.keyboard.press('j');
  const moved = await changes();
  check(moved.length <= 20 * 4, `20 presses changed ${moved.length} things`);

  // What is typed changes nothing but its field.
  await page.keyboard.press('c');
  await changes();
  await page.keyboard.type('Called the daughter, who looks after him');
  check((await changes()).length === 0, 'typing changes the list');
  await page.keyboard.press('Escape');

  // One alert changes: nothing but its row does, and every row is the one that it was.
  await changes();
  await please('change one of them');
  await page.locator('#alert-2').getByText('2.2 mmol/L').first().waitFor();
  const renewed = await changes();
  const last = renewed.slice(-5).join('\n');
  check(renewed.length <= 20, `a change of one row changed ${renewed.length} things, at last:\n${last}`);
  const kept = await page.evaluate(() => window.rows.every((row) => row.isConnected));
  check(kept, 'rows were built anew');
  check((await page.locator('[data-alert]:focus').count()) === 1, 'the focus is lost');

  // The pages follow each other, to the last.
  for (let number = 2; number <= 6; number += 1) {
    // Where the link leads: it is renewed with the list, and a click just then would be lost.
    const next = await page.getByRole('link', { name: /^Next alerts/ }).getAttribute('href');
    await page.goto(new URL(next, page.url()).href);
    await page.locator(`#alert-${(number - 1) * 200 + 1}`).waitFor();
  }
  check((await page.locator('[data-alert]').count()) === 3, 'the last page has not 3 rows');
  await judge(page, 'the last page of a full worklist', say);
  await page.getByRole('link', { name: 'To the most urgent' }).click();
  await page.locator('#alert-1').waitFor();
});
