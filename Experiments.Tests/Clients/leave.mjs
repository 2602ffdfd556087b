// Opens a page in Chromium, leaves it a second after it has shown its variant, and says which that was.
// node leave.mjs <address> <navigate|close>
import { chromium } from 'playwright-core';

const [address, how] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
try {
  // A context of its own outlives the page, as a browser outlives a tab; that of browser.newPage() ends with it, and its requests too.
  const context = await browser.newContext();
  const page = await context.newPage();
  page.on('pageerror', error => console.error(String(error)));
  page.on('console', message => console.error(message.text()));
  await page.goto(address);
  await page.waitForFunction(() => document.title !== '', undefined, { timeout: 10_000 });
  const variant = await page.title();
  await page.waitForTimeout(1000);
  if (how === 'close') {
    await page.close({ runBeforeUnload: true });
  } else {
    await page.goto('about:blank');
  }

  // What was sent on leaving is on its way now, as it is when somebody has gone elsewhere.
  await new Promise(resolve => setTimeout(resolve, 2000));
  console.log(variant);
} finally {
  await browser.close();
}
