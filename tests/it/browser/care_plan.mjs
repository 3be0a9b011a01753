// The lead of a team changes a rule of a care plan, after a look at what it would have raised.
import { base, judge, rest, run, signIn } from './browser.mjs';

const [name, password, patient] = rest;

await run(async (page, say) => {
  await signIn(page, name, password);
  await page.getByRole('heading', { name: 'Worklist' }).waitFor();
  await page.goto(`${base}/patients/${patient}/care-plan`);
  await page.getByRole('link', { name: /: Glucose low$/ }).click();
  await page.getByLabel('Glucose below').fill('low');
  await page.getByLabel('Why', { exact: false }).first().fill('Too many at night');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('type a number').waitFor();
  await page.getByLabel('Glucose below').fill('3.5');
  await page.getByRole('button', { name: 'Try it on the last 30 days' }).click();
  await page.getByText(/it would have raised \d+ alerts? instead of \d+/).waitFor();
  await page.getByRole('heading', { name: 'These would not be told any more' }).waitFor();
  await judge(page, 'a rule that was tried', say);
  // Somebody else is quicker, in another tab.
  const other = await page.context().newPage();
  await other.goto(page.url().replace(/\/try$/, ''));
  await other.getByLabel('For how long').fill('20');
  await other.getByLabel('Why', { exact: false }).first().fill('Short ones are of no use');
  await other.getByRole('button', { name: 'Save' }).click();
  await other.getByText('For how long: 20 minutes instead of 15 minutes').waitFor();
  await other.close();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('heading', { name: 'Somebody else has changed the rule meanwhile' }).waitFor();
  await page.getByText('by Ola Lead: Short ones are of no use.').first().waitFor();
  await judge(page, 'a rule that somebody else has changed', say);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Glucose below: 3.5 mmol/L instead of 3.9 mmol/L').waitFor();
  // And for a time: the days are those of the patients' calendar.
  const day = (days) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
  await page.getByLabel('Glucose below').fill('3.2');
  await page.getByLabel('Last day of the change').fill(day(-2));
  await page.getByLabel('Why', { exact: false }).first().fill('Fasting');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('alert').getByText('must be in the future').waitFor();
  await page.getByLabel('Last day of the change').fill(day(3));
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Glucose below: 3.2 mmol/L instead of 3.5 mmol/L').waitFor();
  await page.getByText('Glucose below: 3.5 mmol/L instead of 3.2 mmol/L').waitFor();
  if ((await page.getByLabel('Last day of the change').inputValue()) !== day(3)) {
    throw new Error('the form does not say until when the change holds');
  }
});
