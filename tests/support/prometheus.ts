/**
 * Prometheus' text as values by name and labels.
 *
 * @module
 */

/** Samples by what stands before their value, as it stands there. */
export function samplesOf(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const match = /^([a-zA-Z_:][\w:]*(?:\{.*\})?) ([^ ]+)(?: # .*)?$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    if (samples.has(match[1])) throw new Error(`twice: ${match[1]}`);
    samples.set(match[1], Number(match[2].replace("Inf", "Infinity")));
  }
  return samples;
}

/** What a page holds; throws when the answer is not 200. */
export async function scrape(url: string, headers: HeadersInit = {}): Promise<Map<string, number>> {
  const response = await fetch(url, { headers });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
  return samplesOf(text);
}
