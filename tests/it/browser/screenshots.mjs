// Pictures of every page: `node screenshots.mjs TOOLS HOMEWARD FOLDER` starts `HOMEWARD demo`, waits until its devices have
// brought the past, signs in as each of its people and goes through their pages.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';

const [tools, homeward, folder] = process.argv.slice(2).map((path) => resolve(path));
const { chromium } = createRequire(`${tools}/`)('playwright-core');
mkdirSync(folder, { recursive: true });

// The demo's address, and the passwords of its people by the names with which they sign in.
async function startDemo() {
  const demo = spawn(homeward, ['demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let base;
  const passwords = {};
  const lines = createInterface({ input: demo.stdout });
  for await (const line of lines) {
    base ??= line.match(/^Where to look: (\S+?),/)?.[1];
    const [, name, password] = line.match(/^ {2}(\S+)\s+([0-9a-f]{10}) /) ?? [];
    if (name) passwords[name] = password;
    if (line.startsWith('Live now')) break;
  }
  lines.close();
  demo.stdout.resume();
  return { demo, base, passwords };
}

// What each of them sees: the name of a picture, and how to come to the page.
const at = (path) => async (page, base) => page.goto(`${base}${path}`);
// The first patient to whom a list on this page leads.
const ofPatient = (list, rest) => async (page, base) => {
  await page.goto(`${base}${list}`);
  const href = await page.locator('main a[href^="/patients/"]').first().getAttribute('href');
  await page.goto(`${base}${href.match(/^\/patients\/\d+/)[0]}${rest}`);
};
const own = (rest) => async (page, base) => {
  await page.goto(`${base}/`);
  await page.goto(`${new URL(page.url()).href.match(/.*\/patients\/\d+/)[0]}${rest}`);
};
const PAGES = {
  nurse: {
    worklist: at('/worklist'),
    patients: at('/patients?query=a'),
    patient: ofPatient('/worklist', ''),
    'patient-alerts': ofPatient('/worklist', '/alerts'),
    'patient-readings': ofPatient('/worklist', '/readings'),
    'patient-news2': ofPatient('/worklist', '/news2'),
    'patient-care-plan': ofPatient('/worklist', '/care-plan'),
    'patient-devices': ofPatient('/worklist', '/devices'),
    'open-a-record': at('/break-glass/open'),
  },
  gp: { practice: at('/practice'), review: ofPatient('/practice', '/review') },
  patient: {
    'own-readings': own(''),
    'own-alerts': own('/alerts'),
    'own-devices': own('/devices'),
    'own-goal': own('/goal'),
    'own-choices': own('/choices'),
    'own-passport': own('/passport'),
    'own-access-log': own('/access-log'),
  },
  privacy: { 'break-glass': at('/break-glass') },
  admin: {
    admin: at('/admin'),
    'admin-people': at('/admin/people'),
    'admin-person': async (page, base) => {
      await page.goto(`${base}/admin/people`);
      await page.locator('main tbody a').first().click();
    },
    'admin-organisations': at('/admin/organisations'),
    'admin-patients': at('/admin/patients'),
    'admin-devices': at('/admin/devices'),
    'admin-register-device': at('/admin/devices/new'),
    'admin-tokens': at('/admin/tokens'),
    'admin-refused': at('/admin/rejected'),
    'admin-health': at('/admin/health'),
    'admin-log': at('/admin/log'),
  },
};

const { demo, base, passwords } = await startDemo();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
let failed = false;
try {
  for (const [name, pages] of Object.entries({ nobody: { 'sign-in': at('/sign-in') }, ...PAGES })) {
    const context = await browser.newContext({ timezoneId: 'Europe/London', locale: 'en-GB', deviceScaleFactor: 1 });
    const page = await context.newPage();
    if (passwords[name]) {
      await page.goto(`${base}/sign-in`);
      await page.getByLabel('Name').fill(name);
      await page.getByLabel('Password').fill(passwords[name]);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
    }
    for (const [picture, come] of Object.entries(pages)) {
      for (const [width, height] of [[1280, 900], [320, 640]]) {
        await page.setViewportSize({ width, height });
        const answer = await come(page, base);
        const status = answer?.status() ?? 200;
        // All charts are drawn when the page has been gone through.
        await page.evaluate(async () => {
          for (let y = 0; y < document.body.scrollHeight; y += 400) {
            window.scrollTo(0, y);
            await new Promise(requestAnimationFrame);
          }
          window.scrollTo(0, 0);
        });
        await page.screenshot({ path: `${folder}/${picture}-${width}.png`, fullPage: true });
        if (status >= 400) {
          failed = true;
          console.error(`${picture}: the page answered ${status}`);
        }
      }
      console.log(picture);
    }
    await context.close();
  }
} finally {
  await browser.close();
  demo.kill('SIGINT');
  await new Promise((ended) => demo.on('exit', ended));
}
process.exitCode = failed ? 1 : 0;
