// Makes the header of a signed-header login: for programs that talked to PyStream, RuStream or FastAPI-UI-Auth, and for
// new ones that have nothing better. No dependency; runs in browsers and in Node 18 and later.
//
//   const header = await signedHeader("Alan Turing", secret);
//   await fetch("/login", { method: "POST", headers: { Authorization: header } });

/**
 * The value of `Authorization` for a login as `user`. Good once, and for a minute.
 *
 * @param {string} user the account's name
 * @param {string} secret its secret for signed headers, which is not its password
 * @param {number} [seconds] the time of the login in seconds since 1970; now, unless given
 * @returns {Promise<string>}
 */
export async function signedHeader(user, secret, seconds = Math.round(Date.now() / 1000)) {
  const name = hexed(user);
  const signed = new TextEncoder().encode(name + hexed(secret) + seconds);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-512", signed));
  const signature = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return btoa(`${name},${signature},${seconds}`);
}

// Each UTF-16 unit as `\u` and four hexadecimal digits.
function hexed(text) {
  let out = "";
  for (let at = 0; at < text.length; at++) out += `\\u${text.charCodeAt(at).toString(16).padStart(4, "0")}`;
  return out;
}
