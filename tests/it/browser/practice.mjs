// A doctor goes from the list of a programme to a patient's review, and prints it on two sheets.
import { base, judge, rest, run, signIn } from './browser.mjs';

const [password] = rest;

await run(async (page, say) => {
  await signIn(page, 'gp', password);
  await page.getByRole('heading', { name: 'Patients by programme' }).waitFor();
  await page.getByRole('link', { name: 'By name' }).click();
  await page.getByRole('link', { name: 'Type 1 diabetes at home', exact: true }).click();
  await page.getByRole('link', { name: 'A Patient', exact: true }).waitFor();
  await page.getByRole('link', { name: 'In target', exact: true }).click();

  await page.goto(`${base}/practice?programme=hypertension`);
  await page.getByRole('link', { name: 'Review of A Patient' }).click();
  await page.getByRole('heading', { name: /^Review/ }).waitFor();
  await page.getByText('Ambulatory glucose profile').first().waitFor();
  await page.getByText(/The course from/).first().waitFor();
  await page.getByRole('button', { name: 'Print, or save as PDF' }).waitFor();
  await judge(page, 'a review', say);
  // As a printer has it.
  await page.emulateMedia({ media: 'print' });
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
  const sheets = pdf.match(/\/Type\s*\/Page\b/g)?.length;
  if (sheets !== 2) say(`the review prints on ${sheets} sheets`);
});
