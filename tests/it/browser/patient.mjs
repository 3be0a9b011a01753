// A patient on a telephone: reads, sees what the team was told and that a nurse looked, and sets a goal.
import { base, judge, please, rest, run, signIn, watch } from './browser.mjs';

const [patient, password] = rest;
const TELEPHONE = { width: 320, height: 640 };

await run(async (page, say, browser) => {
  const goTo = (name) => page.getByRole('navigation', { name: /^About/ }).getByRole('link', { name, exact: true }).click();
  await page.setViewportSize(TELEPHONE);

  // A nurse looks first.
  const nurse = watch(await (await browser.newContext()).newPage());
  await signIn(nurse, 'nurse', password);
  await nurse.getByRole('heading', { level: 1 }).waitFor();
  await nurse.goto(`${base}/patients/${patient}`);
  await nurse.getByText('because your team looks after the patient').waitFor();

  await signIn(page, 'patient', password);
  await page.getByText('averaged over the last 7 days, is 128/79.').waitFor();
  await page.getByText('within your target of 135/85').waitFor();
  await page.getByText('On target').waitFor();
  await page.locator('#chart-blood-pressure svg').waitFor();
  await page.getByRole('link', { name: '30 days' }).click();
  await page.getByText('In the last 30 days').first().waitFor();

  await goTo('What my team was told');
  await page.getByText('Your team was not told of anything').waitFor();
  await judge(page, 'nothing that the team was told', say);
  await please('measure a very high blood pressure');
  await page.reload();
  await page.getByText('The upper number of your blood pressure was 191 mmHg.').waitFor();
  await goTo('My readings');
  await page.getByText('Nobody has taken it up yet').waitFor();
  await page.getByRole('link', { name: '111' }).waitFor();
  if (await page.getByText('On target').isVisible()) say('an alarming reading stands beside a green word');
  await judge(page, 'an alarming reading', say);

  await goTo('My devices');
  await page.getByRole('heading', { name: 'Blood pressure cuff' }).waitFor();

  await goTo('My steps');
  await page.getByLabel(/How many steps/).fill('a lot');
  await page.getByRole('button', { name: 'Set the goal' }).click();
  await page.getByRole('alert').waitFor();
  await page.getByLabel(/How many steps/).fill('35,000');
  await page.getByRole('button', { name: 'Set the goal' }).click();
  await page.getByText('The goal is 35,000 steps a week').waitFor();
  await page.locator('#chart-week svg').waitFor();
  await judge(page, 'a goal', say);

  await goTo('Who looked');
  await page.getByText('Mei Ng (care team').first().waitFor();
  await page.getByRole('link', { name: 'Without a relationship' }).click();
  await page.getByText('Nobody has opened the record').waitFor();
  await page.goto(`${base}/whose`);
  await page.getByRole('heading', { level: 1, name: /Whose record/ }).waitFor();
});
