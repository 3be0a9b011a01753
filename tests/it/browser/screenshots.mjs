// Pictures of every page: `node screenshots.mjs TOOLS HOMEWARD FOLDER …` starts `HOMEWARD demo …`, waits until its devices have
// brought the past, signs in as each of its people and goes through their pages.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { resolve } from 'node:path';

const [tools, homeward, folder] = process.argv.slice(2, 5).map((path) => resolve(path));
const options = process.argv.slice(5);
const { chromium } = createRequire(`${tools}/`)('playwright-core');
mkdirSync(folder, { recursive: true });

// The demo's address, and the passwords of its people by the names with which they sign in.
async function startDemo() {
  const demo = spawn(homeward, ['demo', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
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
// Where the first link on a page leads whose address is like this.
const follow = (path, like) => async (page, base) => {
  await page.goto(`${base}${path}`);
  return page.goto(await page.locator(`main a[href*="${like}"]`).first().evaluate((link) => link.href));
};
// A page of the first patient to whom a list leads.
const ofPatient = (list, rest) => async (page, base) => {
  await page.goto(`${base}${list}`);
  const href = await page.locator('main a[href^="/patients/"]').first().getAttribute('href');
  return page.goto(`${base}${href.match(/^\/patients\/\d+/)[0]}${rest}`);
};
// The same, and on to where a link there leads.
const onFrom = (come, like) => async (page, base) => {
  await come(page, base);
  return page.goto(await page.locator(`main a[href*="${like}"]`).first().evaluate((link) => link.href));
};
const own = (rest) => async (page, base) => {
  await page.goto(`${base}/`);
  return page.goto(`${page.url().match(/.*\/patients\/\d+/)[0]}${rest}`);
};
const OF_WARD = '/practice?programme=virtual-ward&sort=alerts';
// A summary that the patient shares, as it is shown once, and as whoever opens it sees it.
const share = async (page, base) => {
  await own('/passport')(page, base);
  await page.getByLabel('Who is it for?').fill('Ambulance');
  await page.getByRole('button', { name: 'Make a link and a code' }).click();
  await page.locator('[data-code]').waitFor();
};
const openShare = async (page, base) => {
  await share(page, base);
  const code = await page.locator('[data-code]').innerText();
  await page.goto(`${base}${new URL(await page.locator('[data-link]').getAttribute('href')).pathname}`);
  await page.getByLabel('Code of eight digits').fill(code);
  await page.getByLabel('Your name').fill('Sam Field');
  await page.getByLabel('What you are').fill('paramedic');
  await page.getByLabel('Your organisation').fill('North Ambulance');
};
const PAGES = {
  nobody: { 'sign-in': at('/sign-in') },
  nurse: {
    worklist: at('/worklist'),
    alert: follow('/worklist', '/alerts/'),
    patients: at('/patients?query=a'),
    patient: ofPatient('/worklist', ''),
    'patient-of-ward': ofPatient(OF_WARD, ''),
    'patient-alerts': ofPatient('/worklist', '/alerts'),
    'patient-readings': ofPatient('/worklist', '/readings'),
    'patient-correction': onFrom(ofPatient('/worklist', '/readings'), '/entered-in-error'),
    'patient-news2': ofPatient(OF_WARD, '/news2'),
    'patient-care-plan': ofPatient('/worklist', '/care-plan'),
    'patient-devices': ofPatient('/worklist', '/devices'),
    'open-a-record': at('/break-glass/open'),
  },
  lead: { 'patient-rule': onFrom(ofPatient('/worklist', '/care-plan'), '/care-plan/rules/') },
  gp: { practice: at('/practice?programme=hypertension'), review: ofPatient('/practice?programme=diabetes-type-1', '/review') },
  patient: {
    'own-readings': own(''),
    'own-alerts': own('/alerts'),
    'own-devices': own('/devices'),
    'own-goal': own('/goal'),
    'own-choices': own('/choices'),
    'own-sharing': onFrom(own('/choices'), '/choices/sharing/'),
    'own-research': own('/choices/research'),
    'own-passport': own('/passport'),
    'own-summary': own('/passport/summary'),
    'own-share': share,
    'shared-asks': openShare,
    'shared-summary': async (page, base) => {
      await openShare(page, base);
      await page.getByRole('button', { name: 'Show the summary' }).click();
      await page.getByRole('heading', { name: /^Summary of/ }).waitFor();
    },
    'own-access-log': own('/access-log'),
    'whose-record': at('/whose'),
  },
  privacy: { 'break-glass': at('/break-glass'), refused: at('/refused') },
  admin: {
    role: at('/role'),
    password: at('/password'),
    admin: at('/admin'),
    'admin-people': at('/admin/people'),
    'admin-person': follow('/admin/people', '/admin/people/5'),
    'admin-add-person': at('/admin/people/new'),
    'admin-organisations': at('/admin/organisations'),
    'admin-patients': at('/admin/patients'),
    'admin-patient': follow('/admin/patients', '/admin/patients/1'),
    'admin-register-patient': at('/admin/patients/new'),
    'admin-devices': at('/admin/devices'),
    'admin-device': follow('/admin/devices?with=patient', '/admin/devices/1'),
    'admin-register-device': at('/admin/devices/new'),
    'admin-tokens': at('/admin/tokens'),
    'admin-make-token': at('/admin/tokens/new'),
    'admin-refused': at('/admin/rejected'),
    'admin-health': at('/admin/health'),
    'admin-log': at('/admin/log'),
  },
};

// A list of hundreds says no more than its beginning.
const LONGEST = 6000;

// Goes through the page, so that all charts are drawn, and takes its picture.
async function take(page, width, path) {
  const height = await page.evaluate(async (longest) => {
    const height = Math.min(document.documentElement.scrollHeight, longest);
    for (let y = 0; y < height; y += 400) {
      window.scrollTo(0, y);
      await new Promise(requestAnimationFrame);
    }
    window.scrollTo(0, 0);
    return height;
  }, LONGEST);
  await page.setViewportSize({ width, height: Math.max(height, 600) });
  await page.screenshot({ path });
}

const { demo, base, passwords } = await startDemo();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
let failed = false;
try {
  for (const [name, pages] of Object.entries(PAGES)) {
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
        await take(page, width, `${folder}/${picture}-${width}.png`);
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
