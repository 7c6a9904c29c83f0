/** The attempts of a page of another origin: gives one sentence for each that succeeded. Runs in a browser. */
export const ATTACK = `(async (server) => {
  const done = [];
  const tries = {
    async read(path) {
      const response = await fetch(server + path);
      done.push("read " + path + " " + response.status);
    },
    async readBlind(path) {
      const response = await fetch(server + path, { mode: "no-cors" });
      if (response.type !== "opaque") done.push("saw " + path + " as " + response.type);
    },
    async send(method, path) {
      const response = await fetch(server + path, { method, body: method === "DELETE" ? undefined : "evil" });
      done.push(method + " " + path + " " + response.status);
    },
    sendBlind: (path) => fetch(server + path, { method: "POST", mode: "no-cors", body: "evil" }),
    beacon: (path) => navigator.sendBeacon(server + path, "evil"),
    element: (name, path) => new Promise((resolve) => {
      const element = document.createElement(name);
      element.onload = () => { if (name !== "iframe") done.push(name + " of " + path); resolve(); };
      element.onerror = resolve;
      // A frame tells nothing of what is saved and not shown.
      if (name === "iframe") setTimeout(resolve, 2000);
      element[name === "link" ? "href" : "src"] = server + path;
      if (name === "link") element.rel = "stylesheet";
      document.body.append(element);
    }),
    events: () => new Promise((resolve) => {
      const source = new EventSource(server + "/v1/events");
      source.onopen = () => { done.push("events"); resolve(); };
      source.onerror = () => { source.close(); resolve(); };
    }),
    socket: () => new Promise((resolve) => {
      const socket = new WebSocket(server.replace("http", "ws") + "/v1/events");
      socket.onopen = () => { done.push("socket"); resolve(); };
      socket.onerror = socket.onclose = resolve;
    }),
    form: (action, enctype) => new Promise((resolve) => {
      document.body.insertAdjacentHTML("beforeend", "<iframe name=f></iframe><form method=post target=f><input name=a value=b></form>");
      const form = document.forms[document.forms.length - 1];
      form.action = server + action;
      form.enctype = enctype;
      document.querySelector("iframe[name=f]").onload = resolve;
      form.submit();
    }),
  };
  const all = [
    ...["/v1/objects/victim", "/v1/objects", "/status", "/config", "/metrics"].flatMap((path) => [tries.read(path), tries.readBlind(path)]),
    tries.send("DELETE", "/v1/objects?clear=all"), tries.send("DELETE", "/v1/objects/victim"), tries.send("PUT", "/v1/objects/victim"),
    tries.send("POST", "/v1/objects/victim"), tries.sendBlind("/v1/objects/victim"), tries.beacon("/v1/objects/victim"),
    tries.element("img", "/v1/objects/image"), tries.element("script", "/v1/objects/program"), tries.element("link", "/v1/objects/style"),
    tries.element("iframe", "/v1/objects/page"), tries.events(), tries.socket(), tries.form("/v1/objects/victim", "text/plain"),
  ];
  await Promise.allSettled(all);
  if (window.ranStored) done.push("ran a stored program");
  return done;
})`;

/** A stored page that says when it runs, and takes everything away if it can. */
export const STORED_PAGE = `<!doctype html><title>quiet</title><script>
document.title = "ran";
fetch("/v1/objects?clear=all", { method: "DELETE" });
</script>`;

/** The same as a picture. */
export const STORED_PICTURE =
  `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>quiet</title><rect width="9" height="9"/><script>
document.querySelector("title").textContent = "ran";
fetch("/v1/objects?clear=all", { method: "DELETE" });
</script></svg>`;

/** A picture of one pixel. */
export const PIXEL = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);
