// A patient on a telephone: reads, sets a goal, shares a summary that somebody opens, takes it back, switches sharing off,
// and sees that a nurse looked.
import { base, judge, please, rest, run, signIn, watch } from './browser.mjs';

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

  // A nurse looks first.
  const nurse = await another();
  await signIn(nurse, 'nurse', password);
  await nurse.getByRole('heading', { level: 1 }).waitFor();
  await nurse.goto(`${base}/patients/${patient}`);
  await nurse.getByText('because your team looks after the patient').waitFor();

  await signIn(page, 'patient', password);
  await page.getByText('averaged over the last 7 days, is 128/79.').waitFor();
  await page.getByText('within your target of 135/85').waitFor();
  await page.locator('#chart-blood-pressure svg').waitFor();
  await judge(page, 'my readings', say);
  await page.getByRole('link', { name: '30 days' }).click();
  await page.getByText('In the last 30 days').first().waitFor();

  await goTo('What my team was told');
  await page.getByText('Your team was not told of anything').waitFor();
  await judge(page, 'nothing that the team was told', say);
  await please('measure a very high blood pressure');
  await page.reload();
  await page.getByText('The upper number of your blood pressure was 191 mmHg.').waitFor();
  await judge(page, 'what the team was told', say);
  await goTo('My readings');
  await page.getByText('Nobody has taken it up yet').waitFor();
  await page.getByRole('link', { name: '111' }).waitFor();
  await judge(page, 'an alarming reading', say);

  await goTo('My devices');
  await page.getByRole('heading', { name: 'Blood pressure cuff' }).waitFor();
  await judge(page, 'my devices', say);

  await goTo('My steps');
  await page.getByLabel(/How many steps/).fill('a lot');
  await page.getByRole('button', { name: 'Set the goal' }).click();
  await page.getByRole('alert').waitFor();
  await judge(page, 'a goal that is no number', say);
  await page.getByLabel(/How many steps/).fill('35,000');
  await page.getByRole('button', { name: 'Set the goal' }).click();
  await page.getByText('The goal is 35,000 steps a week').waitFor();
  await page.locator('#chart-week svg').waitFor();
  await judge(page, 'a goal', say);

  await goTo('My passport');
  await judge(page, 'nothing shared', say);
  await page.getByRole('button', { name: 'Make a link and a code' }).click();
  await page.getByRole('alert').waitFor();
  await judge(page, 'sharing with nobody', say);
  await page.getByLabel('Who is it for?').fill('Ambulance');
  await page.getByRole('button', { name: 'Make a link and a code' }).click();
  await title('Ready to share with Ambulance');
  await judge(page, 'shown once', say);
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
  await judge(page, 'what is shared', say);
  await page.getByRole('button', { name: 'Take it back' }).click();
  await page.getByText('It is taken back').waitFor();
  await judge(page, 'what was taken back', say);
  await crew.goto(`${base}${new URL(link).pathname}`);
  await crew.getByText('This link leads nowhere').waitFor();
  await page.getByRole('link', { name: 'A summary to print' }).click();
  await title('Summary of A Patient');
  await judge(page, 'a summary to print', say);
  await page.goBack();
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: /Download the record/ }).click(),
  ]);
  if (!/^homeward-\d+-.*\.json$/.test(download.suggestedFilename())) say(`a file called ${download.suggestedFilename()}`);

  await goTo('My choices');
  await judge(page, 'my choices', say);
  await page.locator(`a[href$="/choices/sharing/${team}"]`).click();
  await title(/Stop sharing/);
  await judge(page, 'before sharing stops', say);
  await page.getByRole('button', { name: 'Stop sharing' }).click();
  await page.getByText('Sharing is off', { exact: true }).waitFor();
  await judge(page, 'after sharing stopped', say);
  await nurse.reload();
  await nurse.getByText(/there is no patient/i).waitFor();

  await goTo('Who looked');
  await page.getByText('Mei Ng (care team').first().waitFor();
  await judge(page, 'who looked', say);
  await page.getByRole('link', { name: 'Without a relationship' }).click();
  await page.getByText('Nobody has opened the record').waitFor();
  await judge(page, 'who looked without a relationship', say);
  await page.goto(`${base}/whose`);
  await title('Whose record do you want to see?');
  await judge(page, 'whose record', say);
});
