/** What holds of origins, whatever protocol they speak. */

/** More 1xx than any server sends are a flood. */
export const informationalMax = 10

export const repeatable: ReadonlySet<string> = new Set(['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PROPFIND', 'PUT', 'QUERY'])
