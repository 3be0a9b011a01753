// A nurse looks after a patient while devices measure.
import { base, judge, please, rest, run, signIn } from './browser.mjs';

const [name, password] = rest;

// Each chart has its table, and is read by keyboard.
async function tryCharts(page, say) {
  const figures = page.locator('[data-chart]');
  const count = await figures.count();
  if (count < 3) say(`there are ${count} charts`);
  for (let index = 0; index < count; index += 1) {
    const figure = figures.nth(index);
    await figure.scrollIntoViewIfNeeded();
    await figure.locator('[data-drawing] svg').waitFor();
    const rows = await figure.locator('tbody tr').count();
    if (rows === 0) say(`chart ${index} has no table`);
    await figure.locator('[data-drawing]').focus();
    await page.keyboard.press('End');
    const last = await figure.locator('tbody tr').last().locator('th').textContent();
    const reading = await figure.locator('[data-reading]').textContent();
    if (!reading.startsWith(last)) say(`chart ${index} reads out ${reading}, not ${last}`);
  }
}

await run(async (page, say) => {
  await please('publish a very low glucose');
  await signIn(page, name, password);
  // A stream that is refused is asked for again.
  await page.route('**/readings/stream*', (route) => route.fulfill({ status: 503 }), { times: 1 });
  await page.getByRole('link', { name: 'A Patient', exact: true }).first().click();
  await page.getByRole('heading', { name: 'Open alerts' }).waitFor();
  await page.getByRole('link', { name: 'Glucose very low' }).first().waitFor();
  await page.getByText('No connection: these values may be out of date').waitFor();
  await page.getByText('Live: new readings show up here').waitFor();

  // What comes while nobody looks is there when somebody does again.
  const look = (state) => page.evaluate((state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await look('hidden');
  await please('measure a pressure while nobody looks');
  await look('visible');
  await page.locator('[data-metric="systolic"]', { hasText: '141' }).waitFor();

  // After an hour without a line the page is read anew: a stream does not tell of what was measured so long ago.
  await page.evaluate(() => { window.heardNothing = true; });
  await page.context().setOffline(true);
  await page.getByText('No connection: these values may be out of date').waitFor();
  await page.evaluate(() => {
    const now = Date.now;
    Date.now = () => now() + 3_600_000;
  });
  await page.context().setOffline(false);
  await page.waitForFunction(() => !('heardNothing' in window));
  await page.getByText('Live: new readings show up here').waitFor();

  // A reading shows up by itself; the charts wait until they are asked.
  await please('publish glucose in range');
  await page.locator('[data-metric="glucose"]', { hasText: '6.4' }).waitFor();
  await page.getByText('New reading, Glucose 6.4').waitFor();
  await please('measure a pressure');
  await page.locator('[data-metric="systolic"]', { hasText: '138' }).waitFor();
  await judge(page, 'a patient with news', say);
  await page.getByRole('link', { name: 'Draw the charts anew' }).click();
  await page.getByText('No alert is open now').or(page.getByText('nobody had')).first().waitFor();
  await tryCharts(page, say);
  for (const range of ['24 hours', '90 days']) {
    await page.getByRole('link', { name: range, exact: true }).click();
    await page.getByRole('heading', { name: `Trends, last ${range}` }).waitFor();
  }

  await page.getByLabel('Write a note').fill('Called: feels well');
  await page.getByRole('button', { name: 'Write it down' }).click();
  await page.getByText('Called: feels well').first().waitFor();
  await page.getByText('Write another in its place').click();
  await page.getByLabel('What it should say').fill('Called: feels better');
  await page.getByRole('button', { name: 'Write it in its place' }).click();
  await page.getByText('Replaced by a later note').waitFor();

  await page.getByRole('link', { name: 'Alerts', exact: true }).click();
  await page.getByRole('heading', { name: 'Alerts', exact: true }).waitFor();
  await page.getByRole('link', { name: 'Closed', exact: true }).click();
  await page.getByRole('link', { name: 'Readings', exact: true }).click();
  await page.getByLabel('What was measured').selectOption('blood_pressure');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('link', { name: /Systolic blood pressure 138/ }).click();
  await page.getByLabel(/Diastolic blood pressure 86/).check();
  await page.getByLabel('Why it is none').fill('Cuff was loose');
  await page.getByRole('button', { name: 'Mark as entered in error' }).click();
  await page.getByText('Entered in error, Mei Ng: Cuff was loose').first().waitFor();
  await page.getByRole('link', { name: 'NEWS2', exact: true }).click();
  await page.getByText('no set in which all seven parameters were measured').waitFor();
  await page.getByRole('link', { name: 'All incomplete scores' }).click();
  await page.getByRole('table', { name: 'Incomplete scores' }).waitFor();
  await judge(page, 'incomplete scores', say);
  await page.getByRole('link', { name: 'Devices', exact: true }).click();
  await page.getByRole('cell', { name: /Glucose sensor no\./ }).waitFor();
});
