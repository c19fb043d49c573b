print('app says hi')
