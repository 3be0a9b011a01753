// Somebody without an account opens a patient's summary by its link and its code.
import { base, rest, run } from './browser.mjs';

const [path, code] = rest;

await run(async (page, say) => {
  const fillIn = async (typed) => {
    await page.getByLabel('Code of eight digits').fill(typed);
    await page.getByLabel('Your name').fill('Sam Field');
    await page.getByLabel('What you are').fill('paramedic');
    await page.getByLabel('Your organisation').fill('North Ambulance');
    await page.getByRole('button', { name: 'Show the summary' }).click();
  };
  await page.goto(`${base}${path}`);
  await fillIn('not the code');
  await page.getByRole('alert').getByText('the code is not right; 4 more').waitFor();
  await fillIn(code);
  await page.getByRole('heading', { name: 'Summary of A Patient' }).waitFor();
  await page.getByText('6.1 mmol/L').first().waitFor();
  await page.goto(`${base}/share/${'0'.repeat(64)}`);
  await page.getByRole('heading', { name: 'This link leads nowhere' }).waitFor();
});
