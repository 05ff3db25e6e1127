// Asks the service, behind a gateway too: with the key that an address may carry as ?gateway-key=... The tab keeps the key, since
// the pages change what stands in the address bar.

const NAME = "gateway-key";
const given = new URLSearchParams(location.search).get(NAME);
if (given) sessionStorage.setItem(NAME, given);

export function ask(path, options) {
  const key = sessionStorage.getItem(NAME);
  return fetch(path, { cache: "no-store", ...options, headers: { ...(key ? { "x-api-key": key } : {}), ...options.headers } });
}
