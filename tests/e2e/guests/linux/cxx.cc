// Exceptions, destructors, containers and streams.
#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

struct Guard {
	~Guard() { std::cout << "left\n"; }
};

static int limited(int n)
{
	Guard guard;
	if (n > 2) throw std::runtime_error("too big");
	return n;
}

int main()
{
	std::vector<std::string> words{"c", "a", "b"};
	std::sort(words.begin(), words.end());
	for (auto &word : words) std::cout << word << ' ';
	try {
		limited(5);
	} catch (const std::exception &error) {
		std::cout << error.what() << '\n';
	}
}
