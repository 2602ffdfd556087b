// Opens a page in Chromium, waits for what it has to say, and prints it.
// node browse.mjs <address> <seconds> [navigate|close]
import { chromium } from 'playwright-core';

const [address, seconds, how] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-blink-features=AutomationControlled'],
});
try {
  // Some SDKs send nothing from a browser that says that a program drives it.
  const context = await browser.newContext({ userAgent: `Mozilla/5.0 (X11; Linux x86_64) Chrome/${browser.version()} Safari/537.36` });
  const page = await context.newPage();
  const refused = [];
  page.on('pageerror', error => refused.push(String(error)));
  page.on('console', message => message.type() === 'error' && refused.push(message.text()));
  page.on('response', response => response.status() >= 400 && refused.push(`${response.status()} ${response.url()}`));
  await page.goto(address);
  await page.waitForFunction(() => globalThis.said !== undefined, undefined, { timeout: Number(seconds) * 1000 });
  const said = await page.evaluate(() => globalThis.said);
  if (how === 'close') await page.close({ runBeforeUnload: true });
  if (how === 'navigate') await page.goto('about:blank');
  // What was sent on leaving is on its way now.
  if (how) await new Promise(resolve => setTimeout(resolve, 2000));
  console.log(JSON.stringify({ said, refused }));
} finally {
  await browser.close();
}
