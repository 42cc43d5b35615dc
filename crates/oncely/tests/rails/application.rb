# A Rails application with a database and nothing else. Rails, Active Record and Rake are the real ones;
# so is after_party where the gem is installed (or stands in RUBYLIB). Else after_party.rb is used.
require "rails"
require "active_record/railtie"

begin
  require "after_party"
rescue LoadError
  require_relative "../vendor/after_party"
end

class Shop < Rails::Application
  config.load_defaults Rails::VERSION::STRING.to_f
  config.eager_load = false
  config.logger = Logger.new(nil)
  config.secret_key_base = "for tests"
end
