// The television's own page: shows a code and waits until somebody lets it in. Unattended it goes on for a day, with a
// new code whenever the old one ends.

const DAY = 24 * 60 * 60 * 1000;
const people = document.getElementById("people");
const link = document.getElementById("link");

const shown = () => dispatchEvent(new Event("usher:shown"));

// ---- The code ----------------------------------------------------------------------------------

if (link) {
  const field = (id) => document.getElementById(id);
  const status = field("tv-status");
  const again = field("again");
  let waiting = 0; // Which wait is the present one; an older one stops when it notices.

  const post = (path, body) =>
    fetch(path, {
      method: "POST",
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      cache: "no-store",
    });

  const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

  function draw({ size, path }) {
    const svg = (name, attributes) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const picture = svg("svg", { viewBox: `0 0 ${size} ${size}`, "shape-rendering": "crispEdges" });
    picture.append(svg("rect", { width: size, height: size, fill: "#ffffff" }), svg("path", { d: path, fill: "#000000" }));
    field("qr").replaceChildren(picture);
  }

  // A code to show, however long it takes to get one.
  async function fresh(mine) {
    for (let tries = 0; mine === waiting; tries++) {
      try {
        const answer = await post("/tv/code");
        if (answer.ok) return await answer.json();
        if (answer.status === 429) {
          status.textContent = "Many televisions ask for a code right now. This one waits.";
          await pause(Number(answer.headers.get("Retry-After")) || 60);
          continue;
        }
      } catch {
        // No connection: the network of a television comes and goes.
      }
      status.textContent = "The server does not answer. Trying again.";
      await pause(Math.min(60, 2 ** Math.min(tries, 6)));
    }
    return null;
  }

  // Waits for one code: `linked`, or what ended it.
  async function wait(code, mine) {
    let every = code.interval;
    while (mine === waiting) {
      await pause(every);
      try {
        const answer = await post("/tv/poll", { device_code: code.device_code });
        if (!answer.ok) {
          every = Math.min(60, every * 2);
          continue;
        }
        const { state } = await answer.json();
        if (state === "slow_down") every += 5;
        else if (state !== "pending") return state;
        else every = Math.max(code.interval, Math.min(every, code.interval + 5));
      } catch {
        every = Math.min(60, every * 2);
      }
    }
    return "left";
  }

  async function run() {
    const mine = ++waiting;
    const until = Date.now() + DAY;
    again.hidden = true;
    while (mine === waiting) {
      const code = await fresh(mine);
      if (!code || mine !== waiting) return;
      field("tv-address").textContent = code.verification_uri.replace(/^https?:\/\//, "");
      field("user-code").textContent = code.user_code;
      if (code.qr) draw(code.qr);
      field("code-box").hidden = false;
      status.textContent = "Waiting for your phone.";
      shown();
      const end = await wait(code, mine);
      if (end === "linked") {
        status.textContent = "Welcome.";
        location.assign("/library");
        return;
      }
      if (end === "left") return;
      if (end === "refused" || Date.now() > until) {
        field("code-box").hidden = true;
        status.textContent = end === "refused" ? "Somebody turned this television away." : "Nobody came for a day.";
        again.hidden = false;
        again.focus();
        return;
      }
    }
  }

  again.addEventListener("click", run);
  const add = document.getElementById("add-person");
  if (link.dataset.alone === "true") run();
  else if (add) {
    const back = field("back");
    add.hidden = false;
    back.hidden = false;
    add.addEventListener("click", () => {
      people.hidden = true;
      link.hidden = false;
      back.focus();
      run();
    });
    back.addEventListener("click", () => {
      waiting++;
      link.hidden = true;
      people.hidden = false;
      add.focus();
    });
  }
}

// ---- Digits by arrow keys ----------------------------------------------------------------------

const pad = document.getElementById("pad");
if (pad) {
  const pin = document.getElementById("pin");
  const press = (key, label, act) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.digit = key;
    button.textContent = label;
    if (key === "back") button.setAttribute("aria-label", "Delete the last digit");
    button.addEventListener("click", act);
    return button;
  };
  const digits = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"].map((digit) =>
    press(digit, digit, () => {
      if (pin.value.length < pin.maxLength) pin.value += digit;
    }),
  );
  const back = press("back", "⌫", () => {
    pin.value = pin.value.slice(0, -1);
  });
  pad.append(...digits.slice(0, 9), back, digits[9]);
  // A remote with digits types them, wherever the focus is.
  document.addEventListener("keydown", (event) => {
    if (event.target !== pin && /^[0-9]$/.test(event.key) && pin.value.length < pin.maxLength) pin.value += event.key;
  });
  digits[4].focus();
}
