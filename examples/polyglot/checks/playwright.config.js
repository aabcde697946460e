/** The browser is the system's, such as Debian's: nothing is downloaded. CHROMIUM names another one. */

import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: ".",
  outputDir: "out/browser",
  forbidOnly: true,
  // Long enough for a busy machine.
  timeout: 180_000,
  expect: { timeout: 60_000 },
  workers: 1,
  reporter: [["line"], ["junit", { outputFile: "out/browser.xml" }]],
  use: {
    baseURL: process.env.SHOP_URL,
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env.CHROMIUM || "/usr/bin/chromium",
      // Without a sandbox, so that it runs as root in a container, too: it opens nothing but the shop.
      // The rest keeps it from asking for anything else.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
