// Passkeys: what only a script can ask a browser for. Every page works without it, by password and passcode.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.detail), said);
  return said;
}

const known = (list) => list?.map((one) => ({ ...one, id: bytes(one.id) }));

async function make({ publicKey }) {
  const made = await navigator.credentials.create({
    publicKey: {
      ...publicKey,
      challenge: bytes(publicKey.challenge),
      user: { ...publicKey.user, id: bytes(publicKey.user.id) },
      excludeCredentials: known(publicKey.excludeCredentials),
    },
  });
  const { response } = made;
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    response: {
      attestationObject: text(response.attestationObject),
      clientDataJSON: text(response.clientDataJSON),
    },
  };
}

async function answer({ publicKey }, more = {}) {
  const given = await navigator.credentials.get({
    ...more,
    publicKey: { ...publicKey, challenge: bytes(publicKey.challenge), allowCredentials: known(publicKey.allowCredentials) },
  });
  const { response } = given;
  return {
    id: given.id,
    rawId: text(given.rawId),
    type: given.type,
    response: {
      authenticatorData: text(response.authenticatorData),
      clientDataJSON: text(response.clientDataJSON),
      signature: text(response.signature),
      userHandle: response.userHandle ? text(response.userHandle) : null,
    },
  };
}

// What went wrong, where the page has a place for it. Somebody who closes the browser's window has changed their mind.
function tell(place, error) {
  if (error.name === "AbortError") return;
  const own = error.name === "NotAllowedError" || error.name === "InvalidStateError";
  const words = {
    NotAllowedError: "No passkey was used. You can try again.",
    InvalidStateError: "This device has a passkey for you already.",
  };
  place.textContent = own ? words[error.name] : error.detail || "That did not work. You can try again.";
  place.hidden = false;
}

function wire(id, act) {
  const button = document.getElementById(id);
  if (!button || !window.PublicKeyCredential) return null;
  const place = document.getElementById("passkey-told");
  for (const part of document.querySelectorAll("[data-passkeys]")) part.hidden = false;
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    place.hidden = true;
    button.disabled = true;
    try {
      await act(button);
    } catch (error) {
      tell(place, error);
    }
    button.disabled = false;
  });
  return button;
}

let waiting = null;

async function enter(second, more) {
  const { options, step } = await post("/api/v1/login/passkey/options", { second });
  const given = await answer(options, more);
  const return_to = document.getElementById("passkey-login").dataset.returnTo;
  const { go } = await post("/api/v1/login/passkey", { step, answer: given, second, return_to });
  location.assign(go);
}

const login = wire("passkey-login", async (button) => {
  // A page has one question to the browser at a time.
  waiting?.abort();
  waiting = null;
  await enter(button.dataset.second === "yes");
});

// Passkeys among the browser's suggestions for the name, without a click. A challenge lives for five minutes, so whoever
// leaves the page open for longer is asked with a fresh one.
async function offer() {
  const mine = new AbortController();
  waiting = mine;
  const renewal = setTimeout(() => {
    if (waiting !== mine) return;
    mine.abort();
    offer();
  }, 4 * 60 * 1000);
  try {
    await enter(false, { mediation: "conditional", signal: mine.signal });
  } catch (error) {
    clearTimeout(renewal);
    tell(document.getElementById("passkey-told"), error);
  }
}

if (login && login.dataset.second !== "yes") {
  if (await window.PublicKeyCredential.isConditionalMediationAvailable?.()) offer();
}

wire("passkey-again", async (button) => {
  const { options, step } = await post("/api/v1/me/passkeys/proof-options", {});
  await post("/api/v1/me/passkeys/proof", { step, answer: await answer(options) });
  location.assign(button.dataset.returnTo);
});

wire("passkey-add", async () => {
  const name = document.getElementById("passkey-name").value;
  const { options, step } = await post("/api/v1/me/passkeys/options", {});
  const form = document.getElementById("passkey-form");
  form.elements.step.value = step;
  form.elements.answer.value = JSON.stringify(await make(options));
  form.elements.name.value = name;
  form.submit();
});
