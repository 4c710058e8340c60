// Going about a page with the arrow keys of a remote control: each press moves the focus to the nearest thing in that
// direction. Enter presses what has the focus, as everywhere. Loaded on a television only.

const THINGS = "a[href], button, input:not([type=hidden]), select, video[controls], audio[controls], [tabindex='0']";

const DIRECTIONS = {
  ArrowLeft: { along: "x", sign: -1 },
  ArrowRight: { along: "x", sign: 1 },
  ArrowUp: { along: "y", sign: -1 },
  ArrowDown: { along: "y", sign: 1 },
};

function box(element) {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return { x: [left, right], y: [top, bottom] };
}

function reachable() {
  return [...document.querySelectorAll(THINGS)].filter(
    (one) => !one.disabled && !one.matches(".skip") && one.getClientRects().length > 0 && one.offsetWidth > 1,
  );
}

// How far two stretches lie apart; 0 when they overlap.
const gap = ([a, b], [c, d]) => Math.max(0, c - b, a - d);

/**
 * The nearest of `others` from `here` in this direction. Sideways the row is kept while anything is in it; up and down
 * the next row counts more than the column.
 */
function nearest(here, others, { along, sign }) {
  const across = along === "x" ? "y" : "x";
  const edge = (stretch) => (sign > 0 ? stretch[0] : -stretch[1]);
  const middle = ([a, b]) => (a + b) / 2;
  let best = null;
  let least = Infinity;
  for (const other of others) {
    const there = box(other);
    const aside = gap(here[across], there[across]);
    // Ahead is what begins further on; of two in one row, neither is below the other.
    const ahead = edge(there[along]) - edge(here[along]);
    if (ahead <= 1 || (gap(here[along], there[along]) === 0 && aside > 0)) continue;
    const astray = along === "x" && aside > 0 ? 1e6 : 0;
    const slant = Math.abs(middle(here[across]) - middle(there[across]));
    const cost = gap(here[along], there[along]) + 4 * aside + slant / 8 + ahead / 64 + astray;
    if (cost < least) [best, least] = [other, cost];
  }
  return best;
}

function move(key) {
  const direction = DIRECTIONS[key];
  const focused = document.activeElement;
  const others = reachable().filter((one) => one !== focused);
  const start = reachable().includes(focused) ? box(focused) : null;
  const next = start ? nearest(start, others, direction) : others.find((one) => one.closest("main")) ?? others[0];
  if (next) {
    next.focus();
    next.scrollIntoView({ block: "nearest", inline: "nearest" });
  } else {
    scrollBy({ [direction.along === "x" ? "left" : "top"]: direction.sign * innerHeight * 0.4 });
  }
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  const focused = document.activeElement;
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  if (event.key in DIRECTIONS) {
    // A player seeks with these, and a field moves its caret.
    if (sideways && focused?.matches("video, audio, input:not([type=checkbox]):not([readonly]), select")) return;
    event.preventDefault();
    event.stopPropagation();
    move(event.key);
  } else if (event.key === "GoBack" || (event.key === "Escape" && !document.fullscreenElement)) {
    event.preventDefault();
    history.back();
  }
}, true);

// Something always has the focus, so that the first press goes somewhere.
function begin() {
  if (document.activeElement && document.activeElement !== document.body) return;
  reachable().find((one) => one.closest("main"))?.focus();
}

begin();
addEventListener("usher:shown", begin);
