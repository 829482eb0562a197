/** A value that is often here already: waited for only where it is not, because each wait costs every request. */

export type Soon<Value> = Promise<Value> | Value

export function andThen<From, To>(soon: Soon<From>, go: (value: From) => Soon<To>): Soon<To> {
  return soon instanceof Promise ? soon.then((value) => go(value)) : go(soon)
}
