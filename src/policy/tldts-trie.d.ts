/** The public suffix list as tldts keeps it: nodes with edges, each edge a label. Flags: 1 ICANN, 2 private. */
declare module 'tldts/dist/cjs/src/data/trie.js' {
  const trie: {
    readonly edgeStart: ArrayLike<number>
    readonly edgeLength: ArrayLike<number>
    readonly edgeChild: ArrayLike<number>
    readonly labelText: string
    readonly rulesRoot: number
  }
  export default trie
}
