// Command weir collects, keeps and answers questions about network flow records.
package main

func main() {}
