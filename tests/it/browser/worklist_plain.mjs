// The worklist in a browser without scripts.
import { base, please, rest, run, signIn, watch } from './browser.mjs';

const [password] = rest;

await run(async (_, say, browser) => {
  const page = watch(await (await browser.newContext({ javaScriptEnabled: false })).newPage());
  const shows = async (text) => page.getByText(text).first().waitFor();
  await please('publish a very low glucose of 1');
  await please('publish a very low glucose of 2');
  await signIn(page, 'nurse', password);
  await shows('As of');
  await page.getByLabel('Programme').selectOption('diabetes-type-1');
  await page.getByRole('button', { name: 'Show' }).click();
  await page.getByRole('button', { name: /I take it/ }).first().click();
  await shows('You have it');
  const back = new URL(page.url());
  if (back.search !== '?programme=diabetes-type-1' || back.hash !== '#alert-1') say(`it leads back to ${back}`);

  await page.getByRole('link', { name: /^Comment/ }).first().click();
  await page.getByLabel('Comment', { exact: true }).fill('Called');
  await page.getByRole('button', { name: 'Add the comment' }).click();
  await shows('Called');
  await page.getByLabel('Assign to').selectOption('Sam Okafor');
  await page.getByRole('button', { name: 'Assign', exact: true }).click();
  await shows('Assigned to Sam Okafor, not taken up yet');
  await page.getByLabel('Why (you may leave it out)').fill('Eating now');
  await page.getByRole('button', { name: '4 hours' }).click();
  await shows('This alert can be snoozed for at most 30 minutes');
  if ((await page.getByLabel('Why (you may leave it out)').inputValue()) !== 'Eating now') say('what was typed is gone');
  await page.getByRole('button', { name: '30 minutes' }).click();
  await shows('Snoozed until');

  await please('publish glucose in range of 2');
  await page.reload();
  await page.getByLabel('Another reason').fill('The sensor was loose');
  await page.getByRole('button', { name: 'Close with this reason' }).click();
  await shows('The sensor was loose');
  await please('publish glucose in range of 1');
  await page.getByRole('link', { name: 'Back to the worklist' }).click();
  await page.getByRole('heading', { name: 'Nothing is open' }).waitFor();
});
