/* Makes the site's search work in pages that were opened from the disk, where browsers start no worker.

   There, a `Worker` runs its script in a hidden frame of the page. mkdocs-material asks for the name
   `IFrameWorker` to know that it is so. */
"use strict";

if (location.protocol === "file:") {
  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = "<!doctype html><title>search</title><body></body>";
      this.inside = new Promise((resolve) => {
        this.frame.addEventListener("load", () => resolve(this.frame.contentWindow), { once: true });
      }).then(async (inside) => {
        inside.postMessage = (data) => {
          this.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) }));
        };
        inside.importScripts = async (...urls) => {
          for (const each of urls) await runScript(inside, each);
        };
        await runScript(inside, url);
        return inside;
      });
      document.body.append(this.frame);
    }

    async postMessage(data) {
      const inside = await this.inside;
      inside.dispatchEvent(new inside.MessageEvent("message", { data: structuredClone(data) }));
    }

    terminate() {
      this.frame.remove();
    }
  }

  const runScript = (inside, url) =>
    new Promise((resolve, reject) => {
      const script = inside.document.createElement("script");
      script.addEventListener("load", resolve);
      script.addEventListener("error", () => reject(new Error(`${url} could not be loaded`)));
      script.src = url;
      inside.document.body.append(script);
    });

  window.Worker = window.IFrameWorker = FrameWorker;
}
