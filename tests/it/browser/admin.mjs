// An administrator adds a nurse, who signs in with the first password; organisations, tokens, health and the log.
import { base, judge, rest, run, signIn, watch } from './browser.mjs';

const [name, password] = rest;

await run(async (page, say, browser) => {
  const submit = (button) => page.getByRole('button', { name: button, exact: true }).click();
  await signIn(page, name, password);
  await page.getByRole('heading', { name: 'Administration' }).waitFor();

  await page.getByRole('link', { name: 'Add a person' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Sam Field');
  await page.getByLabel('Sign-in name').fill('sam field');
  await submit('Add the person');
  await page.getByRole('alert').getByRole('link').click();
  const typed = await page.getByLabel('Name', { exact: true }).inputValue();
  if (typed !== 'Sam Field') say(`what was typed is lost: ${typed}`);
  await page.getByLabel('Sign-in name').fill('sam.field');
  await submit('Add the person');
  const first = await page.locator('[data-password]').innerText();
  await page.getByRole('link', { name: 'Go on to their roles' }).click();
  await page.getByText('None yet').waitFor();
  await page.getByLabel('Role').selectOption({ label: 'Care team' });
  await submit('Grant the role');
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Where').selectOption({ label: 'Community care team' });
  await submit('Grant the role');
  await page.getByText('Care team, Community care team').first().waitFor();

  const nurse = watch(await (await browser.newContext()).newPage());
  await signIn(nurse, 'sam.field', first);
  await nurse.getByLabel('The password that you have').fill(first);
  await nurse.getByLabel('A new one').fill('nine wooden horses');
  await nurse.getByRole('button', { name: 'Choose it' }).click();
  await nurse.getByRole('heading', { name: 'Worklist' }).waitFor();
  await page.getByRole('button', { name: 'Lock' }).click();
  await page.getByText('cannot sign in at present').waitFor();
  await judge(page, 'a person who is locked', say);
  await nurse.reload();
  await nurse.getByRole('heading', { name: 'Sign in' }).waitFor();

  await page.getByRole('link', { name: 'People' }).click();
  await page.getByRole('link', { name: 'Alex Office' }).click();
  await page.getByText('This is your own account').waitFor();
  await page.goBack();
  await page.getByRole('cell', { name: 'sam.field' }).waitFor();
  await page.goto(`${base}/admin/organisations`);
  await page.getByLabel('Name', { exact: true }).fill('High Street Surgery');
  await page.getByLabel('Kind').selectOption({ label: 'GP practice' });
  await submit('Add the organisation');
  await page.getByRole('cell', { name: 'High Street Surgery' }).waitFor();

  await page.goto(`${base}/admin/tokens`);
  await page.getByText('No program has a token yet').waitFor();
  await page.getByRole('link', { name: 'Make a token' }).click();
  await page.getByLabel('Which program it is for').fill('Laboratory');
  await page.getByLabel('Scopes').fill('Observation');
  await submit('Make the token');
  await page.getByRole('alert').waitFor();
  await page.getByLabel('Scopes').fill('user/Observation.read');
  await page.getByLabel('Where').selectOption({ label: 'High Street Surgery' });
  await submit('Make the token');
  await page.locator('[data-token]').waitFor();
  await page.getByRole('link', { name: 'Go on to the tokens' }).click();
  await page.getByRole('button', { name: /Revoke/ }).click();
  await page.getByText('Revoked').waitFor();

  await page.goto(`${base}/admin/health`);
  await page.getByRole('heading', { name: 'The broker' }).waitFor();
  await page.goto(`${base}/admin/log`);
  await page.getByText('Made token').waitFor();
  await page.getByText('Added Sam Field').waitFor();
});
