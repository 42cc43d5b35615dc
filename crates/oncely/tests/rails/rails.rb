#!/usr/bin/env ruby
APP_PATH = File.expand_path("../config/application", __dir__)
require "rails"
require "rails/commands"
