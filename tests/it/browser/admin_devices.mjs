// The lead of a team registers a device by the page, with whose credentials a client connects; what it sends too early is
// refused, and tried once more when that is set right; and it is revoked.
import { base, judge, please, rest, run, signIn, watch } from './browser.mjs';

const [lead, admin, password] = rest;

await run(async (page, say, browser) => {
  const submit = (on, button) => on.getByRole('button', { name: button, exact: true }).click();
  await signIn(page, lead, password);
  await page.goto(`${base}/admin/devices`);
  await page.getByText('There is no device yet').waitFor();

  await page.goto(`${base}/admin/patients/new`);
  await page.getByLabel('NHS number').fill('999 765 4324');
  await page.getByLabel('Name', { exact: true }).fill('Bo Example');
  await page.getByLabel('Date of birth').fill('1956-03-01');
  await page.getByLabel('Programme').selectOption({ index: 1 });
  await page.getByLabel('Why your team').fill('Referred by Dr Ng');
  await submit(page, 'Register the patient');
  await page.getByRole('alert').waitFor();
  await page.getByLabel('NHS number').fill('999 765 4323');
  await submit(page, 'Register the patient');
  await page.getByText('No device has measured the patient yet').waitFor();
  await judge(page, 'a patient without devices', say);

  await page.getByRole('link', { name: 'Register a device for the patient' }).click();
  await page.getByLabel('What it is').fill('cuff');
  await page.getByLabel('Label').fill('SN 4711');
  await submit(page, 'Register the device');
  const text = JSON.parse(await page.locator('[data-text]').innerText());
  const secret = await page.locator('[data-secret]').innerText();
  if (text.secret !== secret) say('the text of the QR code has another secret');
  if ((await page.getByRole('img', { name: 'QR code' }).locator('svg').count()) !== 1) say('there is no QR code');
  await please(`connect ${text.username} ${secret}`);

  await page.getByRole('link', { name: 'Go on to the device' }).click();
  await page.getByText('Bo Example').waitFor();
  await page.goto(`${base}/admin/devices`);
  await page.getByText('SN 4711').waitFor();
  await page.goto(`${base}/admin/patients`);
  await page.getByText('999 765 4323').waitFor();

  // What it measured before it was given to the patient is refused.
  await please('publish what was measured yesterday');
  const office = watch(await (await browser.newContext()).newPage());
  await signIn(office, admin, password);
  await office.getByRole('link', { name: 'One message of a device was refused' }).waitFor();
  await office.getByRole('link', { name: 'One message of a device was refused' }).click();
  await office.getByRole('listitem').getByText('The device was with nobody').waitFor();
  await office.getByRole('link', { name: `cuff ${text.username}` }).click();
  await office.getByLabel('NHS number of the patient').fill('9997654323');
  await office.getByLabel('From which day on').fill(new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 10));
  await submit(office, 'Give it to them');
  await office.goto(`${base}/admin/rejected`);
  await office.getByRole('button', { name: /Try once more/ }).click();
  await office.getByText('1 message is in the record now').waitFor();
  await office.getByText('Nothing is missing').waitFor();
  await judge(office, 'refused messages that are in the record', say);
  await office.goto(`${base}/admin/rejected?all=true`);
  await office.getByText('Nothing any more').waitFor();
  await judge(office, 'all refused messages', say);

  await page.goto(`${base}/admin/devices/${text.username}`);
  await page.getByText('It is lost, stolen or broken').click();
  await submit(page, 'Revoke it for ever');
  await page.getByText('Revoked').waitFor();
  await please('see that it is disconnected');
});
