// A nurse of another team opens a record for a stated reason, a privacy officer looks into it, and the patient sees both.
import { base, rest, run, signIn, watch } from './browser.mjs';

const [password, number] = rest;

await run(async (page, say, browser) => {
  await signIn(page, 'nurse', password);
  await page.getByRole('link', { name: 'Patients' }).click();
  const find = async (query) => {
    await page.getByLabel('NHS number, or how the name begins').fill(query);
    await page.getByRole('button', { name: 'Find' }).click();
  };
  await find('999 000 0000');
  await page.getByRole('alert').waitFor();
  await find(number);
  await page.getByText('None of your patients').waitFor();
  await page.getByRole('link', { name: 'open the record without a relationship' }).click();
  const open = async (born) => {
    await page.getByLabel('NHS number').fill(number);
    await page.getByLabel('Date of birth').fill(born);
    await page.getByLabel('Why you need to see the record').fill('Found collapsed, no team reached');
    await page.getByRole('button', { name: 'Open the record' }).click();
  };
  await open('1948-07-06');
  await page.getByRole('alert').waitFor();
  await open('1948-07-05');
  await page.getByText('because you stated a reason').waitFor();

  const privacy = watch(await (await browser.newContext()).newPage());
  await signIn(privacy, 'privacy', password);
  await privacy.getByText('Found collapsed, no team reached').waitFor();
  await privacy.getByLabel('What did you find?').fill('Justified: an emergency');
  await privacy.getByRole('button', { name: /Note it/ }).click();
  await privacy.getByText('Ines Costa: Justified: an emergency').waitFor();

  const patient = watch(await (await browser.newContext()).newPage());
  await signIn(patient, 'patient', password);
  await patient.getByRole('link', { name: 'Who looked' }).click();
  await patient.getByText('Found collapsed, no team reached').first().waitFor();
});
