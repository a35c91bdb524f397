package storetest

func model(*stage) {}
