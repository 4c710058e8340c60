// The player's comforts: keys, the remembered position, a fresh address when the old one has ended,
// and an honest word when the browser cannot play a file. The browser's own controls do the rest.

const player = document.getElementById("player");
const status = document.getElementById("player-status");
const trouble = document.getElementById("trouble");
const previous = document.getElementById("previous");
const next = document.getElementById("next");
const { renew, key, mime } = player.dataset;

const say = (...parts) => status.replaceChildren(...parts);

// ---- The remembered position -------------------------------------------------------------------

const SHELF = "usher.positions";
const KEPT = 300; // The oldest of more than this many are forgotten.
const SHORT = 60; // Shorter files start over.

// Private windows and strict settings refuse storage; then nothing is remembered, and nothing breaks.
function positions() {
  try {
    return JSON.parse(localStorage.getItem(SHELF)) ?? {};
  } catch {
    return {};
  }
}

function remember(seconds) {
  const all = positions();
  delete all[key];
  if (seconds > 0) all[key] = [Math.floor(seconds), Date.now()];
  const newest = Object.entries(all).sort((a, b) => b[1][1] - a[1][1]);
  try {
    localStorage.setItem(SHELF, JSON.stringify(Object.fromEntries(newest.slice(0, KEPT))));
  } catch {
    // Full or refused: as above.
  }
}

// Before the old position is taken up, "0 seconds" is not where the listener is.
let settled = false;

function save() {
  if (!settled || !Number.isFinite(player.duration)) return;
  const worth = player.duration >= SHORT && player.currentTime > 10;
  const over = player.ended || player.duration - player.currentTime < 15;
  remember(worth && !over ? player.currentTime : 0);
}

function takeUp() {
  if (settled) return;
  settled = true;
  const seconds = positions()[key]?.[0] ?? 0;
  if (seconds > 0 && seconds < player.duration - 15) {
    player.currentTime = seconds;
    const over = document.createElement("button");
    over.type = "button";
    over.textContent = "Start over";
    over.addEventListener("click", () => {
      player.currentTime = 0;
      player.focus();
      say();
    });
    say(`Going on at ${clock(seconds)}. `, over);
  }
}

function clock(seconds) {
  const two = (n) => String(Math.floor(n)).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  return `${hours ? `${hours}:` : ""}${two((seconds / 60) % 60)}:${two(seconds % 60)}`;
}

// Where it is and whether it plays, kept apart from the element, which forgets both when it fails.
let at = 0;
let playing = false;
let saved = 0;
player.addEventListener("timeupdate", () => {
  if (player.readyState > 0) at = player.currentTime;
  if (Math.abs(player.currentTime - saved) < 5) return;
  saved = player.currentTime;
  save();
});
player.addEventListener("playing", () => {
  playing = true;
});
player.addEventListener("pause", () => {
  if (!player.error) playing = false;
  save();
});
addEventListener("pagehide", save);

// ---- What the browser cannot play --------------------------------------------------------------

function cannotPlay() {
  if (trouble) {
    trouble.hidden = false;
    // What was a guess is known now.
    trouble.querySelector("h2").textContent = "Your browser cannot play this";
  }
  // A player that holds nothing is only in the way. One that still sounds stays.
  if (player.error) player.parentElement.hidden = true;
  say("Your browser cannot play this file.");
}

// A picture that is missing while sound plays is the usual sign of a codec the browser lacks.
const pictureMissing = () => player.tagName === "VIDEO" && player.videoWidth === 0;

player.addEventListener("loadedmetadata", () => {
  if (pictureMissing() && mime.startsWith("video/")) cannotPlay();
  else if (trouble && player.canPlayType(mime) === "probably") trouble.hidden = true;
  takeUp();
});

// ---- A fresh address ---------------------------------------------------------------------------

let renewing = false;
let renewals = 0;
player.addEventListener("playing", () => {
  renewals = 0;
});

async function probe() {
  try {
    const answer = await fetch(player.currentSrc, { method: "HEAD", cache: "no-store" });
    return answer.status;
  } catch {
    return 0;
  }
}

async function freshAddress() {
  const answer = await fetch(renew, { headers: { Accept: "application/json" }, cache: "no-store", redirect: "error" });
  if (!answer.ok) return { status: answer.status };
  return { status: 200, url: (await answer.json()).url };
}

function askToLogIn() {
  const link = document.createElement("a");
  link.href = `/login?return_to=${encodeURIComponent(location.pathname)}`;
  link.textContent = "Log in";
  say("You are logged out. ", link, " to go on from here.");
}

function retry(text) {
  const again = document.createElement("button");
  again.type = "button";
  again.textContent = "Try again";
  again.addEventListener("click", () => goOn(player.currentSrc, true));
  say(`${text} `, again);
}

// Loads `url` and goes on where it stopped.
function goOn(url, play) {
  const from = at;
  player.src = url;
  player.addEventListener(
    "loadedmetadata",
    () => {
      if (from > 0) player.currentTime = from;
      if (play) player.play().catch(() => {});
      say();
    },
    { once: true },
  );
  player.load();
}

async function broken() {
  if (renewing) return;
  renewing = true;
  const wasPlaying = playing;
  try {
    const found = await probe();
    if (found === 403 || found === 410) {
      if (++renewals > 3) return retry("This keeps ending.");
      const fresh = await freshAddress();
      if (fresh.url) goOn(fresh.url, wasPlaying);
      else if (fresh.status === 401 || fresh.status === 403) askToLogIn();
      else retry("The server gave no new address.");
    } else if (found === 200) cannotPlay();
    else if (found === 404) say("This file is gone.");
    else if (found === 0) retry("There is no connection.");
    else retry("The server is busy.");
  } catch {
    // The session has ended and the answer led to the login page, or the connection broke.
    askToLogIn();
  } finally {
    renewing = false;
  }
}

player.addEventListener("error", broken);
// The browser may have given up before this script was loaded.
if (player.error) broken();
else if (player.readyState >= HTMLMediaElement.HAVE_METADATA) takeUp();

// ---- Going through a folder --------------------------------------------------------------------

const go = (link) => {
  if (!link) return;
  save();
  location.assign(`${link.href}#play`);
};

player.addEventListener("ended", () => {
  remember(0);
  if (player.tagName === "AUDIO") go(next);
});

if (location.hash === "#play") player.play().catch(() => {});

function skip(seconds) {
  if (Number.isFinite(player.duration)) {
    player.currentTime = Math.min(Math.max(0, player.currentTime + seconds), player.duration);
  }
}

const toggle = () => (player.paused ? player.play().catch(() => {}) : player.pause());

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else if (player.tagName === "VIDEO") player.requestFullscreen?.().catch(() => {});
}

const KEYS = {
  " ": toggle,
  k: toggle,
  MediaPlayPause: toggle,
  ArrowLeft: () => skip(-10),
  ArrowRight: () => skip(10),
  f: fullScreen,
  p: () => go(previous),
  n: () => go(next),
  MediaTrackPrevious: () => go(previous),
  MediaTrackNext: () => go(next),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  const focused = event.target;
  if (focused.closest("input, textarea, select")) return;
  // Space on a button presses it, and the player's own controls know space and arrows.
  const ownKey = event.key === " " || event.key.startsWith("Arrow");
  if (ownKey && (focused === player || focused.closest("button, a, summary"))) return;
  event.preventDefault();
  act();
});

if ("mediaSession" in navigator) {
  navigator.mediaSession.metadata = new MediaMetadata({ title: player.getAttribute("aria-label") });
  if (previous) navigator.mediaSession.setActionHandler("previoustrack", () => go(previous));
  if (next) navigator.mediaSession.setActionHandler("nexttrack", () => go(next));
}
