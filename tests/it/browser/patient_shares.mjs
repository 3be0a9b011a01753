// A patient on a telephone: shares a summary that somebody opens, takes it back, takes the record along, and stops sharing
// with the team, for whom there is no such patient any more.
import { base, judge, rest, run, signIn, watch } from './browser.mjs';

const [patient, team, password] = rest;
const TELEPHONE = { width: 320, height: 640 };

await run(async (page, say, browser) => {
  const another = async () => {
    const context = await browser.newContext({ timezoneId: 'Europe/London', locale: 'en-GB' });
    return watch(await context.newPage());
  };
  const goTo = (name) => page.getByRole('navigation', { name: /^About/ }).getByRole('link', { name, exact: true }).click();
  const title = (name) => page.getByRole('heading', { level: 1, name }).waitFor();
  await page.setViewportSize(TELEPHONE);

  await signIn(page, 'patient', password);
  await goTo('My passport');
  await page.getByRole('button', { name: 'Make a link and a code' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Who is it for?').fill('Ambulance');
  await page.getByRole('button', { name: 'Make a link and a code' }).click();
  await title('Ready to share with Ambulance');
  const code = await page.locator('[data-code]').textContent();
  const link = await page.locator('[data-link]').getAttribute('href');
  const crew = await another();
  await crew.goto(`${base}${new URL(link).pathname}`);
  await crew.getByLabel('Code of eight digits').fill(code);
  await crew.getByLabel('Your name').fill('Sam Field');
  await crew.getByLabel('What you are').fill('paramedic');
  await crew.getByLabel('Your organisation').fill('North Ambulance');
  await crew.getByRole('button', { name: 'Show the summary' }).click();
  await crew.getByRole('heading', { name: 'Summary of A Patient' }).waitFor();
  await page.getByRole('button', { name: 'I have passed it on' }).click();
  await page.getByText('Sam Field (paramedic, North Ambulance, as they said): opened it').waitFor();
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('It is taken back').waitFor();
  await judge(page, 'what was taken back', say);
  await crew.goto(`${base}${new URL(link).pathname}`);
  await crew.getByText('This link leads nowhere').waitFor();
  await page.getByRole('link', { name: 'A summary to print' }).click();
  await title('Summary of A Patient');
  await page.goBack();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /Download the record/ }).click(),
  ]);
  if (!/^homeward-\d+-.*\.json$/.test(download.suggestedFilename())) say(`a file called ${download.suggestedFilename()}`);

  await goTo('My choices');
  await page.locator(`a[href$="/choices/sharing/${team}"]`).click();
  await title(/Stop sharing/);
  await page.getByRole('button', { name: 'Stop sharing' }).click();
  await page.getByText('Sharing is off', { exact: true }).waitFor();
  await judge(page, 'after sharing stopped', say);
  const nurse = await another();
  await signIn(nurse, 'nurse', password);
  await nurse.getByRole('heading', { level: 1 }).waitFor();
  await nurse.goto(`${base}/patients/${patient}`);
  await nurse.getByText(/there is no patient/i).waitFor();
});
