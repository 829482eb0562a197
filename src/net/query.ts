/**
 * Parameters of a query, as `name=value` between `&` (WHATWG URL) or `;` (older servers). No I/O, no policy.
 *
 * Promises: names are compared as a server would decode them, whatever the client escaped; what is not removed keeps its
 * bytes and its order.
 */

/** What stays when the parameters that `isDoomed` names are gone; null when nothing stays. */
export function withoutParameters(query: string | null, isDoomed: (name: string) => boolean): string | null {
  if (query === null) return null
  const pieces = query.split(/([&;])/)
  let kept = ''
  let removed = false
  for (let i = 0; i < pieces.length; i += 2) {
    const piece = pieces[i] ?? ''
    if (isDoomed(parameterName(piece))) removed = true
    else kept += (kept === '' ? '' : (pieces[i - 1] ?? '')) + piece
  }
  return removed ? (kept === '' ? null : kept) : query
}

function parameterName(piece: string): string {
  const equals = piece.indexOf('=')
  return decodedEscapes(equals < 0 ? piece : piece.slice(0, equals))
}

/** Escapes are undone one by one: a broken one further on must not hide a whole one. */
export function decodedEscapes(text: string): string {
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
