// Fills a record: devices measure, and people do by forms whatever can be done by forms.
import { base, please } from './browser.mjs';
import { send } from './every_page_forms.mjs';

export async function furnish(people, known, look, say) {
  const { patient, team, accounts } = known;
  const about = `/patients/${patient}`;
  const done = async (who, at, action, typed) => {
    const page = people[who];
    const answer = await send(page, at, action, typed);
    if (answer.status() >= 400) say(`${action} was refused: ${await page.locator('main').innerText()}`);
    return page;
  };
  for (const programme of ['diabetes-type-1', 'hypertension', 'virtual-ward']) {
    await done('lead', `${about}/care-plan`, `${about}/care-plan`, { programme, reason: 'Referred' });
  }
  const { practice, device } = await please('measure');

  const alerts = await workOnAlerts(people.lead, done, about);
  await done('lead', about, `${about}/notes`, { text: 'Feels well' });
  await done('lead', about, `${about}/notes`, { text: 'Feels better' });
  const rule = (code) => `${about}/care-plan/rules/${code}`;
  await done('lead', rule('glucose-low'), rule('glucose-low'), { guidance: 'Eat something', reason: 'As agreed' });
  await done('lead', rule('resting-heart-rate'), `${rule('resting-heart-rate')}/remove`, { why: 'Takes a beta blocker' });
  const wrong = `${about}/readings/entered-in-error`;
  const reading = async () => {
    await people.lead.goto(`${base}${about}/readings?type=blood_pressure`);
    const link = people.lead.locator(`a[href*="${wrong}"]`).last();
    return (await link.getAttribute('href')).split('reading=')[1];
  };
  await done('lead', `${wrong}?reading=${await reading()}`, wrong, { reason: 'The cuff was loose' });

  await done('patient', `${about}/goal`, `${about}/goal`, { steps_a_week: '35000' });
  await done('patient', `${about}/choices/sharing/${practice}`, `${about}/choices/sharing/${practice}`);
  const share = await shareSummaries(people.patient, done, look, about);
  for (const nhs_number of [known.number, known.other]) {
    const opened = { nhs_number, born: '1948-07-05', reason: 'Found collapsed' };
    await look(await done('stranger', '/break-glass/open', '/break-glass/open', opened), 'a record that was opened');
  }
  await done('privacy', '/break-glass', '/break-glass/1/review', { 'finding-1': 'Justified' });
  const [stock, revoked] = await administer(done, look, team);
  await please('let a night pass');

  const { open, taken, snoozed, over } = alerts;
  return {
    patient, team, accounts, practice, share, open, over,
    alert: [open, taken, snoozed, over], code: ['glucose-low', 'glucose-very-low', 'resting-heart-rate'],
    organisation: [team, practice], account: accounts, device: [device, stock, revoked], secret: share.path.split('/').at(-1),
    reading: await reading(),
  };
}

// Alerts in each state, by their numbers.
async function workOnAlerts(lead, done, about) {
  const list = `/api/v1/alerts?patient=${about.split('/').at(-1)}`;
  const { alerts } = await lead.evaluate(async (path) => (await fetch(path)).json(), list);
  const take = (status) => {
    const found = alerts.findIndex((alert) => alert.status === status);
    if (found < 0) throw new Error(`no other alert is ${status}: ${JSON.stringify(alerts)}`);
    return alerts.splice(found, 1)[0].id;
  };
  const [over, open, taken, snoozed] = ['cleared', 'raised', 'raised', 'raised'].map(take);
  await done('lead', `/alerts/${open}`, `/alerts/${open}/comment`, { text: 'Called, nobody answers' });
  await done('lead', `/alerts/${taken}`, `/alerts/${taken}/acknowledge`);
  await done('lead', `/alerts/${snoozed}`, `/alerts/${snoozed}/snooze`, { minutes: '30', reason: 'Eating now' });
  return { open, taken, snoozed, over };
}

// A summary that is taken back, and one that somebody opens.
async function shareSummaries(patient, done, look, about) {
  await done('patient', `${about}/passport`, `${about}/passport/shares`, { made_for: 'Eye clinic' });
  await done('patient', `${about}/passport`, `${about}/passport/shares/1/revoke`);
  await done('patient', `${about}/passport`, `${about}/passport/shares`, { made_for: 'Ambulance' });
  await look(patient, 'a share, shown once');
  const path = new URL(await patient.locator('[data-link]').getAttribute('href')).pathname;
  const code = await patient.locator('[data-code]').innerText();
  const opened = { code, name: 'Sam', role: 'paramedic', organisation: 'North Ambulance' };
  await look(await done('nobody', path, path, opened), 'a shared summary');
  return { path, opened };
}

// An organisation, a person, tokens and devices; answers the numbers of a device in the stock and of one that was revoked.
async function administer(done, look, team) {
  await done('office', '/admin/organisations', '/admin/organisations', { name: 'St Example', kind: 'hospital' });
  const sam = { name: 'Sam Field', sign_in_name: 'sam' };
  await look(await done('office', '/admin/people/new', '/admin/people', sam), 'a first password');
  for (const name of ['Laboratory', 'Ambulance']) {
    const token = { name, scopes: 'user/Observation.read', organisation: team };
    await look(await done('office', '/admin/tokens/new', '/admin/tokens', token), 'a token, shown once');
  }
  await done('office', '/admin/tokens', '/admin/tokens/1/revoke');
  const register = async () => {
    const page = await done('lead', '/admin/devices/new', '/admin/devices', { kind: 'cuff', label: 'SN 4711' });
    await look(page, 'the credentials of a device');
    return page.locator('[data-username]').innerText();
  };
  const devices = [await register(), await register()];
  await done('lead', `/admin/devices/${devices[1]}`, `/admin/devices/${devices[1]}/revoke`);
  return devices;
}
