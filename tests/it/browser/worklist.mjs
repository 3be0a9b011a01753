// A nurse works an alert from its raising to its end. What is published meanwhile, the test does when it is asked.
import { base, judge, please, rest, run, signIn } from './browser.mjs';

const [name, password] = rest;

await run(async (page, say) => {
  await page.goto(`${base}/worklist`);
  await judge(page, 'signing in', say);
  await signIn(page, name, 'not the password');
  await page.getByRole('alert').waitFor();
  await judge(page, 'signing in wrongly', say);
  await signIn(page, name, password);
  await page.getByText('Nothing is open').waitFor();
  await page.getByText('Live:').waitFor();
  await judge(page, 'an empty worklist', say);

  await please('publish a very low glucose');
  await page.getByRole('link', { name: 'Show the new list' }).click();
  await page.getByText('Glucose very low', { exact: true }).waitFor();
  await judge(page, 'a worklist', say);
  await page.getByRole('button', { name: /I take it/ }).click();
  await page.getByText('Mei Ng has it').waitFor();

  await please('publish glucose in range');
  await page.getByRole('link', { name: 'Show the new list' }).click();
  await page.getByText('Nothing is open').waitFor();

  await page.goto(`${base}/nothing/is/here`);
  await page.getByRole('heading', { name: 'Not found' }).waitFor();
  await judge(page, 'nothing at all', say);
  await page.goto(`${base}/role`);
  await judge(page, 'picking a role', say);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
});
